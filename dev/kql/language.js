// The Kusto language service with our tables, and the subset of KQL that queries keep to.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Language } = globalThis.Kusto;
const subset = JSON.parse(fs.readFileSync(path.join(__dirname, "subset.json"), "utf8"));
const globals = (() => {
  const declared = JSON.parse(fs.readFileSync(path.join(__dirname, "tables.json"), "utf8"));
  const tables = Object.entries(declared).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`);
    return Language.Symbols.TableSymbol.From(`(${schema.join(", ")})`).WithName(name);
  });
  const database = new Language.Symbols.DatabaseSymbol.$ctor1("workspace", tables);
  return Language.GlobalState.Default.WithDatabase(database);
})();

/** The kind of a node of a query, by the language service's name. */
function kindOf(node) {
  return globalThis.System.Enum.toString(Language.Syntax.SyntaxKind, node.Kind);
}

/** A query, parsed and bound. */
function parse(text) {
  return Language.KustoCode.ParseAndAnalyze(text, globals);
}

module.exports = { Language, kindOf, parse, subset };
