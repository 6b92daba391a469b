// Expressions of the subset of KQL in subset.json, evaluated in a row, on the syntax tree of the Kusto language service.

"use strict";

const { kindOf } = require("./language.js");

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

/** An expression's value in a row; of a group of rows with what `fold` has for aggregates, by name. */
function evaluate(node, row, now, fold = {}) {
  const kind = kindOf(node);
  const value = (part) => evaluate(part, row, now, fold);
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
      if (Object.hasOwn(fold, name)) {
        return fold[name](given);
      }
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

module.exports = { args, elements, evaluate, isMissing, named, parts, plain, text };
