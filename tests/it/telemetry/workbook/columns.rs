//! What the workbook does with the columns of its queries: they are there, and of a type that it can show so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::kql;
use crate::tidy::read;

/// A tile with a query, as `workbook.bicep` has it.
struct Tile {
    query: String,
    chart: String,
    is_heat: bool,
}

fn tiles(workbook: &str) -> Vec<Tile> {
    let list = workbook.split_once("\nvar tiles = [\n").expect("tiles").1;
    let list = list.split_once("\n]\n").expect("their end").0;
    let said = |tile: &str, name: &str| {
        let begin = format!("    {name}: ");
        let line = tile.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_else(|| panic!("no {name}: {tile}"))
            .to_owned()
    };
    let tiles = list.split("\n  }\n").map(|tile| {
        let query = said(tile, "query");
        let path = query.strip_prefix("loadTextContent('../queries/workbook/");
        Tile {
            query: path
                .and_then(|path| path.strip_suffix(".kql')"))
                .unwrap_or_default()
                .to_owned(),
            chart: said(tile, "chart").trim_matches('\'').to_owned(),
            is_heat: said(tile, "heat") == "true",
        }
    });
    tiles.filter(|tile| !tile.query.is_empty()).collect()
}

/// The columns that the formatters of the heat are for.
fn heat_columns(workbook: &str) -> BTreeSet<String> {
    let formatters: Vec<&str> = workbook
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("columnMatch:") || line.contains("heatFormatters"))
        .collect();
    assert_eq!(
        formatters,
        [
            "var heatFormatters = [for column in jurisdictions: {",
            "columnMatch: column",
            "formatters: tile.heat ? heatFormatters : []",
        ],
        "formatters have another form: look at this test"
    );
    let list = workbook
        .split_once("\nvar jurisdictions = [\n")
        .expect("columns")
        .1;
    let list = list.split_once("\n]\n").expect("their end").0;
    list.lines()
        .map(|it| it.trim().trim_matches('\'').to_owned())
        .collect()
}

#[tokio::test]
async fn the_workbook_shows_columns_that_its_queries_give() -> anyhow::Result<()> {
    let workbook = read("infra/modules/workbook.bicep");
    let columns = kql::columns(&kql::queries("workbook")).await?;
    let tiles = tiles(&workbook);
    let shown: BTreeSet<&str> = tiles.iter().map(|tile| tile.query.as_str()).collect();
    let all: BTreeSet<&str> = columns.keys().map(String::as_str).collect();
    assert_eq!(shown, all, "queries, and tiles that show them");
    let is_number = |kind: &str| matches!(kind, "int" | "long" | "real");
    for tile in &tiles {
        let given: &BTreeMap<String, String> = &columns[&tile.query];
        let of = |what: &dyn Fn(&str) -> bool| given.values().filter(|kind| what(kind)).count();
        match tile.chart.as_str() {
            "table" => assert!(given.len() > 1, "{}: {given:?}", tile.query),
            // A chart has time on one axis, and names its series with the one text.
            "linechart" | "areachart" | "barchart" => {
                assert_eq!(
                    of(&|kind| kind == "datetime"),
                    1,
                    "{}: {given:?}",
                    tile.query
                );
                assert!(of(&is_number) > 0, "{}: {given:?}", tile.query);
                assert!(
                    of(&|kind| kind == "string") <= 1,
                    "{}: {given:?}",
                    tile.query
                );
            }
            other => panic!("{}: {other}: say here what it needs", tile.query),
        }
    }
    // Every number of the heat is coloured, and nothing else is.
    let heat: Vec<&Tile> = tiles.iter().filter(|tile| tile.is_heat).collect();
    assert_eq!(heat.len(), 1, "a tile that shows how near due dates are");
    let wanted = heat_columns(&workbook);
    for tile in heat {
        let numbers = columns[&tile.query].iter();
        let numbers = numbers.filter(|(_, kind)| is_number(kind));
        let numbers: BTreeSet<String> = numbers.map(|(name, _)| name.clone()).collect();
        assert_eq!(numbers, wanted, "{}", tile.query);
    }
    Ok(())
}
