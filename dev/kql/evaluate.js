// Runs queries over recorded rows: the subset of KQL in subset.json, on the syntax tree of the Kusto language service.
//
//   node evaluate.js ROWS.json NOW QUERY…     a JSON object: for each query its rows
//   node evaluate.js --self-check             the cases of cases.json
//
// ROWS.json holds a list of rows for each table of tables.json that is there; NOW is the time that `ago` counts from. Values
// are as in JSON, times in ISO 8601. What is not in the subset is an error, and so is a query that does not bind: without the
// table, too, unless a fuzzy union stands in for it.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

const { args, elements, evaluate, isMissing, named, parts, plain, text } = require("./expressions.js");
const { columnsOf, declared, diagnosticsOf, kindOf, parse, subset, workspace } = require("./language.js");

const present = (values) => values.filter((value) => !isMissing(value));
const sum = (values) => present(values).reduce((total, value) => total + value, 0);
const extreme = (values, isBetter) =>
  present(values).reduce((best, value) => (best === null || isBetter(plain(value), plain(best)) ? value : best), null);

const aggregates = {
  count: (rows) => rows.length,
  countif: (rows, value, [when]) => rows.filter((row) => value(when, row) === true).length,
  dcount: (rows, value, [of]) => new Set(present(rows.map((row) => plain(value(of, row))))).size,
  sum: (rows, value, [of]) => sum(rows.map((row) => value(of, row))),
  sumif: (rows, value, [of, when]) =>
    sum(rows.filter((row) => value(when, row) === true).map((row) => value(of, row))),
  max: (rows, value, [of]) => extreme(rows.map((row) => value(of, row)), (a, b) => a > b),
  maxif: (rows, value, [of, when]) =>
    extreme(rows.filter((row) => value(when, row) === true).map((row) => value(of, row)), (a, b) => a > b),
  min: (rows, value, [of]) => extreme(rows.map((row) => value(of, row)), (a, b) => a < b),
};

/** Adds an aggregate's columns to a row of the result. */
function aggregate(node, rows, now, result) {
  const [name, expression] = named(node);
  const value = (part, row) => evaluate(part, row, now);
  if (kindOf(expression) === "FunctionCallExpression" && expression.Name.SimpleName === "arg_max") {
    const [of, ...others] = args(expression);
    const best = extreme(rows.map((row) => value(of, row)), (a, b) => a > b);
    const row = rows.find((one) => plain(value(of, one)) === plain(best));
    result[text(of)] = best;
    for (const other of others) {
      result[text(other)] = row ? value(other, row) : null;
    }
    return;
  }
  // There is no row: a column outside of an aggregate is an error.
  const fold = Object.fromEntries(
    Object.entries(aggregates).map(([function_, act]) => [function_, (given) => act(rows, value, given)]),
  );
  result[name] = evaluate(expression, {}, now, fold);
}

function summarize(operator, rows, now) {
  const lists = parts(operator).filter((part) => kindOf(part) === "List");
  const wanted = elements(lists[lists.length - 1]);
  const clause = parts(operator).find((part) => kindOf(part) === "SummarizeByClause");
  const by = clause ? elements(parts(clause)[0]).map(named) : [];
  const groups = new Map();
  if (!clause) {
    groups.set("", { keys: {}, rows: [] });
  }
  for (const row of rows) {
    const keys = Object.fromEntries(by.map(([name, expression]) => [name, evaluate(expression, row, now)]));
    const key = clause ? JSON.stringify(keys) : "";
    if (!groups.has(key)) {
      groups.set(key, { keys, rows: [] });
    }
    groups.get(key).rows.push(row);
  }
  return [...groups.values()].map((group) => {
    const result = { ...group.keys };
    for (const one of wanted) {
      aggregate(one, group.rows, now, result);
    }
    return result;
  });
}

/** Rows in order; without a word the greatest come first. */
function order(operator, rows, now) {
  const lists = parts(operator).filter((part) => kindOf(part) === "List");
  const keys = elements(lists[lists.length - 1]).map((node) => {
    const isOrdered = kindOf(node) === "OrderedExpression";
    const [expression, clause] = isOrdered ? parts(node) : [node];
    return [expression, clause && text(clause) === "asc" ? 1 : -1];
  });
  const sorted = [...rows];
  sorted.sort((left, right) => {
    for (const [expression, direction] of keys) {
      const [a, b] = [left, right].map((row) => plain(evaluate(expression, row, now)));
      if (a !== b) {
        return (a < b ? -1 : 1) * direction;
      }
    }
    return 0;
  });
  return sorted;
}

/** A row of a table: what it lacks is missing, of a text empty. */
const filled = (columns, row) =>
  Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, row[name] ?? (type === "string" ? "" : null)]),
  );

/** The rows of all tables of a union that are there. One that is not there binds only where the union is fuzzy. */
function union(node, tables, now) {
  const legs = elements(parts(node)[1]);
  const there = legs.filter((leg) => kindOf(leg) !== "NameReference" || text(leg) in tables);
  if (there.length === 0) {
    throw new Error("no table of the union is there");
  }
  const columns = columnsOf(node.ResultType);
  for (const leg of there) {
    for (const [name, type] of Object.entries(columnsOf(leg.ResultType))) {
      if (columns[name] !== type) {
        throw new Error(`the column ${name} is of two types`);
      }
    }
  }
  return there.flatMap((leg) => run(leg, tables, now)).map((row) => filled(columns, row));
}

function run(node, tables, now) {
  const kind = kindOf(node);
  switch (kind) {
    case "NameReference":
      return tables[text(node)];
    case "ParenthesizedExpression":
      return run(parts(node)[0], tables, now);
    case "UnionOperator":
      return union(node, tables, now);
    case "DataTableExpression":
      if (node.Values.Count > 0) {
        throw new Error("a datatable with rows is not evaluated");
      }
      return [];
    case "PipeExpression":
      break;
    default:
      throw new Error(`${kind} is not evaluated`);
  }
  const [source, operator] = parts(node);
  const rows = run(source, tables, now);
  const last = parts(operator)[parts(operator).length - 1];
  switch (kindOf(operator)) {
    case "FilterOperator":
      return rows.filter((row) => evaluate(last, row, now) === true);
    case "ExtendOperator":
      return rows.map((row) => {
        const result = { ...row };
        for (const [name, expression] of elements(last).map(named)) {
          result[name] = evaluate(expression, row, now);
        }
        return result;
      });
    case "ProjectOperator":
      return rows.map((row) =>
        Object.fromEntries(elements(last).map(named).map(([name, it]) => [name, evaluate(it, row, now)])),
      );
    case "SummarizeOperator":
      return summarize(operator, rows, now);
    case "SortOperator":
      return order(operator, rows, now);
    case "TakeOperator":
      return rows.slice(0, evaluate(last, {}, now));
    default:
      throw new Error(`${kindOf(operator)} is not evaluated`);
  }
}

/** Says that a fuzzy union names a table that is not there: it goes on without it. */
const GONE = "KS205";

/** A query, bound where only these tables are there. */
function bound(source, names) {
  const there = Object.fromEntries(Object.entries(declared).filter(([name]) => names.includes(name)));
  const code = parse(source, workspace(there));
  const faults = diagnosticsOf(code);
  const fault = faults.find((one) => one.Code !== GONE);
  if (fault) {
    throw new Error(fault.Message);
  }
  if (faults.length === 0) {
    return code;
  }
  // The language service would let any column pass now; only those of the tables that are there are given.
  const empty = Object.fromEntries(Object.keys(declared).map((name) => [name, there[name] ?? {}]));
  const strict = parse(source, workspace(empty));
  const [unknown] = diagnosticsOf(strict);
  if (unknown) {
    throw new Error(unknown.Message);
  }
  return strict;
}

/** The rows that a query gives. */
function query(source, tables, now) {
  const code = bound(source, Object.keys(tables));
  const [statement] = elements(parts(code.Syntax).find((part) => kindOf(part) === "List" && part.ChildCount > 0));
  const found = run(parts(statement)[0], tables, now);
  const columns = Object.keys(columnsOf(code.ResultType));
  const shown = (value) => (value instanceof Date ? value.toISOString() : value);
  return found.map((row) => {
    // The language service says by itself which columns there are: the same as here.
    if (Object.keys(row).join() !== columns.join()) {
      throw new Error(`the columns ${Object.keys(row)}, where KQL gives ${columns}`);
    }
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(value)]));
  });
}

/** Rows as they were recorded, with their time as one; columns that a row lacks are missing values. */
function recorded(tables) {
  const whole = (columns, row) => ({ ...filled(columns, row), TimeGenerated: new Date(row.TimeGenerated) });
  return Object.fromEntries(
    Object.entries(tables).map(([name, rows]) => [name, rows.map((row) => whole(declared[name], row))]),
  );
}

/** Every case of cases.json, and that they use everything that the subset allows. */
function selfCheck() {
  const { now, tables, cases } = JSON.parse(fs.readFileSync(path.join(__dirname, "cases.json"), "utf8"));
  const faults = [];
  for (const { query: source, rows } of cases) {
    let found;
    try {
      found = query(source, recorded(tables), new Date(now));
    } catch (error) {
      found = String(error);
    }
    if (JSON.stringify(found) !== JSON.stringify(rows)) {
      faults.push(`${source}\n  expected ${JSON.stringify(rows)}\n  found    ${JSON.stringify(found)}`);
    }
  }
  const all = cases.map((one) => one.query).join("\n");
  for (const name of [...subset.functions, ...subset.aggregates]) {
    if (!all.includes(`${name}(`)) {
      faults.push(`no case uses ${name}`);
    }
  }
  for (const operator of subset.operators) {
    if (!all.includes(`| ${operator} `)) {
      faults.push(`no case uses ${operator}`);
    }
  }
  if (!all.startsWith("union ") && !all.includes("\nunion ")) {
    faults.push("no case uses union");
  }
  for (const fault of faults) {
    console.error(fault);
  }
  console.log(`${cases.length} cases of the evaluator, ${faults.length} faults.`);
  return faults.length === 0 ? 0 : 1;
}

function main(given) {
  if (given[0] === "--self-check") {
    return selfCheck();
  }
  const [rows, now, ...files] = given;
  if (files.length === 0) {
    console.error("node evaluate.js ROWS.json NOW QUERY…");
    return 2;
  }
  const tables = recorded(JSON.parse(fs.readFileSync(rows, "utf8")));
  const results = files.map((file) => [file, query(fs.readFileSync(file, "utf8"), tables, new Date(now))]);
  console.log(JSON.stringify(Object.fromEntries(results)));
  return 0;
}

process.exitCode = main(process.argv.slice(2));
