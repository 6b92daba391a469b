//! Route templates: `requests/{id?}`, `{*rest}`, `{id:guid}`.

use anyhow::bail;
use percent_encoding::percent_decode_str;

/// A function's route below the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter {
        name: String,
        optional: bool,
        constraints: Vec<Constraint>,
    },
    Rest(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Constraint {
    Guid,
    Int,
    Alpha,
    Bool,
}

impl Constraint {
    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Guid => uuid::Uuid::try_parse(text).is_ok(),
            Self::Int => text.parse::<i64>().is_ok(),
            Self::Alpha => text.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Self::Bool => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it has a form that ASP.NET refuses, or one that only ASP.NET knows.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut segments: Vec<Segment> = Vec::new();
        for part in text
            .trim_matches('/')
            .split('/')
            .filter(|part| !part.is_empty())
        {
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                bail!("route '{text}': nothing can follow a catch-all");
            }
            let is_optional =
                |segment: &Segment| matches!(segment, Segment::Parameter { optional: true, .. });
            let segment = Segment::parse(text, part)?;
            if segments.last().is_some_and(is_optional)
                && !is_optional(&segment)
                && !matches!(segment, Segment::Rest(_))
            {
                bail!("route '{text}': only optional segments can follow an optional one");
            }
            segments.push(segment);
        }
        Ok(Self(segments))
    }

    /// The parameters of a path (below the prefix, still percent-encoded), or `None` when it is not this route's.
    pub(crate) fn parameters(&self, path: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut parts = path
            .trim_matches('/')
            .split('/')
            .filter(|part| !part.is_empty());
        let mut found = Vec::new();
        for segment in &self.0 {
            match segment {
                Segment::Literal(literal) => {
                    if !decoded(parts.next()?).eq_ignore_ascii_case(literal) {
                        return None;
                    }
                }
                Segment::Parameter {
                    name,
                    optional,
                    constraints,
                } => match parts.next() {
                    None if *optional => found.push((name.clone(), None)),
                    None => return None,
                    Some(part) => {
                        let value = decoded(part);
                        if !constraints.iter().all(|rule| rule.accepts(&value)) {
                            return None;
                        }
                        found.push((name.clone(), Some(value)));
                    }
                },
                Segment::Rest(name) => {
                    let rest: Vec<&str> = parts.by_ref().collect();
                    let rest = (!rest.is_empty()).then(|| decoded(&rest.join("/")));
                    found.push((name.clone(), rest));
                }
            }
        }
        match parts.next() {
            None => Some(found),
            Some(_) => None,
        }
    }

    /// ASP.NET's precedence: of two routes that fit, the lower one wins.
    pub(crate) fn precedence(&self) -> Vec<u8> {
        let digit = |segment: &Segment| match segment {
            Segment::Literal(_) => 1,
            Segment::Parameter { constraints, .. } if !constraints.is_empty() => 2,
            Segment::Parameter { .. } => 3,
            Segment::Rest(_) => 5,
        };
        self.0.iter().map(digit).collect()
    }
}

impl Segment {
    fn parse(template: &str, part: &str) -> anyhow::Result<Self> {
        let Some(inner) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        else {
            if part.contains(['{', '}', '?', '*']) {
                bail!(
                    "route '{template}': the local host reads a segment as text or as one parameter"
                );
            }
            return Ok(Self::Literal(part.to_owned()));
        };
        if let Some(name) = inner.strip_prefix('*') {
            return Ok(Self::Rest(checked_name(
                template,
                name.trim_start_matches('*'),
            )?));
        }
        let (inner, optional) = match inner.strip_suffix('?') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let mut pieces = inner.split(':');
        let name = checked_name(template, pieces.next().unwrap_or_default())?;
        let mut constraints = Vec::new();
        for piece in pieces {
            constraints.push(match piece {
                "guid" => Constraint::Guid,
                "int" | "long" => Constraint::Int,
                "alpha" => Constraint::Alpha,
                "bool" => Constraint::Bool,
                _ => bail!("route '{template}': the local host knows no constraint '{piece}'"),
            });
        }
        Ok(Self::Parameter {
            name,
            optional,
            constraints,
        })
    }
}

fn checked_name(template: &str, name: &str) -> anyhow::Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        bail!("route '{template}': '{name}' cannot name a parameter");
    }
    Ok(name.to_owned())
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Template;
    use proptest::prelude::*;

    #[test]
    fn paths_match_as_in_asp_net() {
        fn check(template: &str, path: &str, expected: Option<&[(&str, Option<&str>)]>) {
            let template = Template::parse(template).expect("a template");
            let found = template.parameters(path);
            let expected = expected.map(|expected| {
                let own = |(name, value): &(&str, Option<&str>)| {
                    ((*name).to_owned(), value.map(str::to_owned))
                };
                expected.iter().map(own).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{path}");
        }
        check("requests", "/requests", Some(&[]));
        check("requests", "/Requests/", Some(&[]));
        check("requests", "/requests/1", None);
        check("requests/{id}", "/requests", None);
        check(
            "requests/{id}",
            "/requests/a%20b",
            Some(&[("id", Some("a b"))]),
        );
        check("requests/{id?}", "/requests", Some(&[("id", None)]));
        check(
            "requests/{id?}/{part?}",
            "/requests/1/plan",
            Some(&[("id", Some("1")), ("part", Some("plan"))]),
        );
        check("requests/{id?}/{part?}", "/requests/1/plan/x", None);
        check("v1/{*rest}", "/v1/a/b", Some(&[("rest", Some("a/b"))]));
        check("v1/{*rest}", "/v1", Some(&[("rest", None)]));
        check("{*rest}", "/", Some(&[("rest", None)]));
        check("r/{id:int}", "/r/12", Some(&[("id", Some("12"))]));
        check("r/{id:int}", "/r/x", None);
        check(
            "r/{id:guid}",
            "/r/e589a371-ea0c-4479-9a7b-9f834adec04z",
            None,
        );
    }

    #[test]
    fn wrong_templates_are_refused() {
        for template in [
            "a/{*b}/c",
            "a/{b?}/c",
            "{}",
            "a{b}",
            "{a:regex(x)}",
            "{a=1}",
            "{*}",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn literals_win_over_parameters_and_those_over_the_rest() {
        let of = |text: &str| Template::parse(text).expect("a template").precedence();
        assert!(of("a/b") < of("a/{id:int}"));
        assert!(of("a/{id:int}") < of("a/{id}"));
        assert!(of("a/{id}") < of("a/{*rest}"));
        assert!(of("a/b") < of("{*rest}"));
    }

    proptest! {
        #[test]
        fn any_template_and_path_is_read_or_refused(template in "[a-z{}*?:/=]{0,16}", path in ".{0,24}") {
            if let Ok(template) = Template::parse(&template) {
                let _ = template.parameters(&path);
            }
        }
    }
}
