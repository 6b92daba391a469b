// Parses and binds every query of a folder with the Kusto language service, against the tables in tables.json, and holds
// it to the subset in subset.json. Exit 1 with any diagnostic.
//
//   node check.js FOLDER [BICEP-FOLDER]
//   node check.js --columns QUERY…            a JSON object: for each query the columns that it gives, with their types
//
// With a folder of Bicep files it also checks that each query is loaded by one of them, that what they load is there, and
// that an alert splits by a column that its query has. What must not pass lies in broken/, and is tried first.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

const { Language, columnsOf, diagnosticsOf, kindOf, parse, subset } = require("./language.js");

/** What is wrong with a query, and the columns that it gives, with their types. */
function check(text) {
  const faults = [];
  const place = (at) => {
    const before = text.slice(0, at).split("\n");
    return `${before.length}:${before[before.length - 1].length + 1}`;
  };
  const code = parse(text);
  for (const diagnostic of diagnosticsOf(code)) {
    faults.push(`${place(diagnostic.Start)}: ${diagnostic.Message}`);
  }
  const functions = new Set([...subset.functions, ...subset.aggregates]);
  Language.Syntax.SyntaxElement.WalkNodes(code.Syntax, (node) => {
    const kind = kindOf(node);
    if (!(kind in subset.syntax)) {
      faults.push(`${place(node.TextStart)}: ${kind} is not in the subset`);
    }
    if (kind === "FunctionCallExpression" && !functions.has(node.Name.SimpleName)) {
      faults.push(`${place(node.TextStart)}: the function ${node.Name.SimpleName} is not in the subset`);
    }
  });
  const columns = columnsOf(code.ResultType);
  if (!columns) {
    faults.push("1:1: the query gives no table");
  }
  return { faults, columns: columns ?? {} };
}

/** Every file with this ending below a folder, in order. */
function files(folder, ending) {
  const found = [];
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      found.push(...files(place, ending));
    } else if (entry.name.endsWith(ending)) {
      found.push(place);
    }
  }
  return found.sort();
}

/** What must not pass says in its first line, after `// expects: `, a part of what is wrong with it. */
function selfCheck() {
  const broken = files(path.join(__dirname, "broken"), ".kql");
  const passed = [];
  for (const file of broken) {
    const text = fs.readFileSync(file, "utf8");
    const expected = /^\/\/ expects: (.+)$/m.exec(text);
    const { faults } = check(text);
    if (!expected || !faults.some((fault) => fault.includes(expected[1]))) {
      passed.push(`${path.basename(file)}: expected "${expected?.[1]}", found ${JSON.stringify(faults)}`);
    }
  }
  return { count: broken.length, passed };
}

/** Whether Bicep files load what is there, all of it, and split alerts by columns that are there. */
function checkBicep(folder, queries) {
  const faults = [];
  const loaded = new Set();
  for (const file of files(folder, ".bicep")) {
    const text = fs.readFileSync(file, "utf8");
    const load = /loadTextContent\('([^']+)'\)(?:\s*\n\s*dimension: '([^']*)')?/g;
    for (const [, name, dimension] of text.matchAll(load)) {
      const place = path.resolve(path.dirname(file), name);
      loaded.add(place);
      const columns = queries.get(place);
      if (!columns) {
        faults.push(`${file}: loads ${name}, which is no query of the folder`);
      } else if (dimension && !(dimension in columns)) {
        faults.push(`${file}: splits by ${dimension}, but ${name} gives ${Object.keys(columns).join(", ")}`);
      }
    }
  }
  for (const place of queries.keys()) {
    if (!loaded.has(place)) {
      faults.push(`${place}: no Bicep file loads it`);
    }
  }
  return faults;
}

function main([folder, ...others]) {
  if (!folder) {
    console.error("node check.js FOLDER [BICEP-FOLDER]");
    return 2;
  }
  if (folder === "--columns") {
    const columns = others.map((file) => [file, check(fs.readFileSync(file, "utf8")).columns]);
    console.log(JSON.stringify(Object.fromEntries(columns)));
    return 0;
  }
  const [bicep] = others;
  const { count, passed } = selfCheck();
  if (count === 0 || passed.length > 0) {
    console.error(`The check itself is broken: ${passed.join("; ") || "nothing to try it with"}`);
    return 1;
  }
  const queries = new Map();
  const faults = [];
  for (const file of files(folder, ".kql")) {
    const checked = check(fs.readFileSync(file, "utf8"));
    queries.set(path.resolve(file), checked.columns);
    faults.push(...checked.faults.map((fault) => `${file}:${fault}`));
  }
  if (queries.size === 0) {
    faults.push(`${folder}: no query`);
  }
  if (bicep) {
    faults.push(...checkBicep(bicep, queries));
  }
  for (const fault of faults) {
    console.error(fault);
  }
  console.log(`${queries.size} queries, ${faults.length} faults; ${count} broken queries were refused.`);
  return faults.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
