// The Kusto language service with our tables, and the subset of KQL that queries keep to.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Language } = globalThis.Kusto;
const subset = JSON.parse(fs.readFileSync(path.join(__dirname, "subset.json"), "utf8"));
const declared = JSON.parse(fs.readFileSync(path.join(__dirname, "tables.json"), "utf8"));

/** A workspace that has these tables, by name, each with its columns. */
function workspace(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`);
    return Language.Symbols.TableSymbol.From(`(${schema.join(", ")})`).WithName(name);
  });
  const database = new Language.Symbols.DatabaseSymbol.$ctor1("workspace", symbols);
  return Language.GlobalState.Default.WithDatabase(database);
}

const whole = workspace(declared);

/** The kind of a node of a query, by the language service's name. */
function kindOf(node) {
  return globalThis.System.Enum.toString(Language.Syntax.SyntaxKind, node.Kind);
}

/** A query, parsed and bound, where every declared table is there, or in another workspace. */
function parse(text, globals = whole) {
  return Language.KustoCode.ParseAndAnalyze(text, globals);
}

/** What the language service has to say of a query. */
function diagnosticsOf(code) {
  const list = code.GetDiagnostics();
  return Array.from({ length: list.Count }, (_none, n) => list.getItem(n));
}

/** The columns of a table's type, by name, in order; none if it is no table. */
function columnsOf(type) {
  if (!(type instanceof Language.Symbols.TableSymbol)) {
    return null;
  }
  const columns = Array.from({ length: type.Columns.Count }, (_none, n) => type.Columns.getItem(n));
  return Object.fromEntries(columns.map((column) => [column.Name, column.Type.Name]));
}

module.exports = { Language, columnsOf, declared, diagnosticsOf, kindOf, parse, subset, workspace };
