// Runs queries over recorded rows: the subset of KQL in subset.json, on the syntax tree of the Kusto language service.
//
//   node evaluate.js ROWS.json NOW QUERY…     a JSON object: for each query its rows
//   node evaluate.js --self-check             the cases of cases.json
//
// ROWS.json holds a list of rows for each table of tables.json; NOW is the time that `ago` counts from. Values are as in
// JSON, times in ISO 8601. What is not in the subset is an error, and so is a query that does not bind.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

const { kindOf, parse, subset } = require("./language.js");

/** A length of time, in milliseconds. */
class Span {
  constructor(milliseconds) {
    this.milliseconds = milliseconds;
  }
}

const children = (node) => {
  const list = [];
  for (let n = 0; n < node.ChildCount; n += 1) {
    const child = node.GetChild(n);
    if (child) {
      list.push(child);
    }
  }
  return list;
};

/** Children that are no tokens. */
const parts = (node) => children(node).filter((child) => !kindOf(child).match(/(Token|Keyword)$/));

/** The elements of a list. */
const elements = (list) =>
  children(list).map((element) => (kindOf(element) === "SeparatedElement" ? children(element)[0] : element));

const text = (node) => node.ToString(0).replace(/\/\/[^\n]*\n/g, "").trim();

const isMissing = (value) => value === null || value === undefined;

/** What compares and groups: a time as its number. */
const plain = (value) => {
  if (value instanceof Date) {
    return value.getTime();
  }
  return value instanceof Span ? value.milliseconds : value;
};

function timespan(literal) {
  const units = { d: 86400000, h: 3600000, m: 60000, s: 1000, ms: 1 };
  const found = /^(\d+(?:\.\d+)?)(d|h|m|s|ms)$/.exec(literal);
  if (!found) {
    throw new Error(`a time span ${literal}`);
  }
  return new Span(Number(found[1]) * units[found[2]]);
}

const isInteger = (node) => ["int", "long"].includes(node.ResultType && node.ResultType.Name);

const numbers = (left, right, act) => (isMissing(left) || isMissing(right) ? null : act(left, right));

/** Two values that are compared: none if one is missing; a text is never missing. */
const compare = (act) => (left, right) => {
  const [a, b] = [plain(left), plain(right)];
  return isMissing(a) || isMissing(b) ? null : act(a, b);
};

const binary = {
  AndExpression: (a, b) => a === true && b === true,
  OrExpression: (a, b) => a === true || b === true,
  EqualExpression: compare((a, b) => a === b),
  NotEqualExpression: compare((a, b) => a !== b),
  LessThanExpression: compare((a, b) => a < b),
  LessThanOrEqualExpression: compare((a, b) => a <= b),
  GreaterThanExpression: compare((a, b) => a > b),
  GreaterThanOrEqualExpression: compare((a, b) => a >= b),
  AddExpression: (a, b) => numbers(a, b, (x, y) => x + y),
  SubtractExpression: (a, b) => numbers(a, b, (x, y) => x - y),
  MultiplyExpression: (a, b) => numbers(a, b, (x, y) => x * y),
};

function number(value) {
  if (isMissing(value) || value === "") {
    return null;
  }
  const found = Number(value);
  return Number.isNaN(found) ? null : found;
}

const functions = {
  ago: (now, [span]) => new Date(now.getTime() - span.milliseconds),
  bin: (_now, [value, size]) => {
    if (isMissing(value)) {
      return null;
    }
    const step = plain(size);
    const floor = Math.floor(plain(value) / step) * step;
    return value instanceof Date ? new Date(floor) : floor;
  },
  round: (_now, [value, digits]) => {
    const scale = 10 ** (digits ?? 0);
    return isMissing(value) ? null : Math.round(value * scale) / scale;
  },
  todouble: (_now, [value]) => number(value),
  toint: (_now, [value]) => {
    const found = number(value);
    return found === null ? null : Math.trunc(found);
  },
  tostring: (_now, [value]) => {
    if (value instanceof Date) {
      return value.toISOString();
    }
    return isMissing(value) ? "" : String(value);
  },
};

/** An expression's value in a row. */
function evaluate(node, row, now) {
  const kind = kindOf(node);
  const value = (part) => evaluate(part, row, now);
  switch (kind) {
    case "NameReference": {
      const name = text(node);
      if (!(name in row)) {
        throw new Error(`no column ${name}`);
      }
      return row[name];
    }
    case "StringLiteralExpression":
    case "LongLiteralExpression":
    case "RealLiteralExpression":
      return JSON.parse(text(node));
    case "TimespanLiteralExpression":
      return timespan(text(node));
    case "ParenthesizedExpression":
      return value(parts(node)[0]);
    case "UnaryMinusExpression":
      return numbers(value(parts(node)[0]), 0, (found) => -found);
    case "ElementExpression": {
      const [of, selector] = parts(node);
      const key = value(parts(selector)[0]);
      const bag = value(of);
      return isMissing(bag) ? null : (bag[key] ?? null);
    }
    case "InExpression": {
      const [of, list] = parts(node);
      const wanted = plain(value(of));
      return elements(parts(list)[0]).some((one) => plain(value(one)) === wanted);
    }
    case "DivideExpression": {
      const [left, right] = parts(node);
      const quotient = numbers(value(left), value(right), (a, b) => (b === 0 ? null : a / b));
      const isWhole = isInteger(left) && isInteger(right);
      return isWhole && quotient !== null ? Math.trunc(quotient) : quotient;
    }
    case "FunctionCallExpression": {
      const name = node.Name.SimpleName;
      const given = args(node);
      if (name === "iff") {
        return value(value(given[0]) === true ? given[1] : given[2]);
      }
      if (name === "case") {
        for (let n = 0; n + 1 < given.length; n += 2) {
          if (value(given[n]) === true) {
            return value(given[n + 1]);
          }
        }
        return value(given[given.length - 1]);
      }
      if (!Object.hasOwn(functions, name)) {
        throw new Error(`the function ${name} is not evaluated`);
      }
      return functions[name](now, given.map(value));
    }
    default: {
      if (!Object.hasOwn(binary, kind)) {
        throw new Error(`${kind} is not evaluated`);
      }
      const [left, right] = parts(node);
      return binary[kind](value(left), value(right));
    }
  }
}

function args(call) {
  const list = parts(call).find((part) => kindOf(part) === "ExpressionList");
  return elements(parts(list)[0]);
}

/** A named expression's name and expression; an unnamed one is named as KQL does. */
function named(node) {
  if (kindOf(node) === "SimpleNamedExpression") {
    const [name, expression] = parts(node);
    return [text(name), expression];
  }
  if (kindOf(node) === "FunctionCallExpression") {
    const [first] = args(node);
    const function_ = node.Name.SimpleName;
    return [function_ === "bin" ? text(first) : `${function_}_${first ? text(first) : ""}`, node];
  }
  return [text(node), node];
}

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
  const [name, call] = named(node);
  const value = (expression, row) => evaluate(expression, row, now);
  const function_ = call.Name.SimpleName;
  const given = args(call);
  if (function_ === "arg_max") {
    const [of, ...others] = given;
    const best = extreme(rows.map((row) => value(of, row)), (a, b) => a > b);
    const row = rows.find((one) => plain(value(of, one)) === plain(best));
    result[text(of)] = best;
    for (const other of others) {
      result[text(other)] = row ? value(other, row) : null;
    }
    return;
  }
  if (!Object.hasOwn(aggregates, function_)) {
    throw new Error(`the aggregate ${function_} is not evaluated`);
  }
  result[name] = aggregates[function_](rows, value, given);
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

function run(node, tables, now) {
  const kind = kindOf(node);
  if (kind === "NameReference") {
    return tables[text(node)] ?? [];
  }
  if (kind !== "PipeExpression") {
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

/** The rows that a query gives. */
function query(source, tables, now) {
  const code = parse(source);
  if (code.GetDiagnostics().Count > 0) {
    throw new Error(code.GetDiagnostics().getItem(0).Message);
  }
  const [statement] = elements(parts(code.Syntax).find((part) => kindOf(part) === "List" && part.ChildCount > 0));
  const found = run(parts(statement)[0], tables, now);
  const shown = (value) => (value instanceof Date ? value.toISOString() : value);
  return found.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(value)])));
}

/** Rows as they were recorded, with their time as one; columns that a row lacks are missing values. */
function recorded(tables) {
  const declared = JSON.parse(fs.readFileSync(path.join(__dirname, "tables.json"), "utf8"));
  const whole = (columns, row) => {
    const result = Object.fromEntries(
      Object.entries(columns).map(([name, type]) => [name, row[name] ?? (type === "string" ? "" : null)]),
    );
    result.TimeGenerated = new Date(row.TimeGenerated);
    return result;
  };
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
