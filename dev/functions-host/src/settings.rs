//! App settings: what the host is given, then what its own environment holds.

use std::fmt;

/// The settings that bindings, `%NAME%` references and the handler's environment draw on.
#[derive(Clone)]
pub(crate) struct Settings {
    given: Vec<(String, String)>,
}

impl fmt::Debug for Settings {
    /// Names only: the values hold keys and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.given.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Settings {
    pub(crate) fn new(given: Vec<(String, String)>) -> Self {
        Self { given }
    }

    /// The setting of that name, in any case, as .NET's configuration looks names up; empty ones count as unset.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let given = self
            .given
            .iter()
            .rev()
            .find(|(given, _)| given.eq_ignore_ascii_case(name));
        let value = match given {
            Some((_, value)) => Some(value.clone()),
            None => from_environment(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// What was given, to be handed to the handler.
    pub(crate) fn given(&self) -> &[(String, String)] {
        &self.given
    }

    /// The connection string of a binding's `connection`: `X`, else `AzureWebJobsX`; an empty one is
    /// `AzureWebJobsStorage`.
    pub(crate) fn connection(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return self.get("AzureWebJobsStorage");
        }
        self.get(name)
            .or_else(|| self.get(&format!("AzureWebJobs{name}")))
    }

    /// Replaces each `%NAME%` by that setting.
    ///
    /// # Errors
    /// With the name of a setting that is not set.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        self.replace(text, |name| Err(name.to_owned()))
    }

    /// Replaces each `%NAME%` by that setting, and an unset one by nothing, as the host does in the handler's
    /// command line.
    pub(crate) fn expand_or_remove(&self, text: &str) -> String {
        self.replace(text, |_| Ok(String::new()))
            .unwrap_or_default()
    }

    fn replace(
        &self,
        text: &str,
        unset: impl Fn(&str) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded += before;
            let Some((name, after)) = after.split_once('%') else {
                expanded.push('%');
                rest = after;
                break;
            };
            match self.get(name) {
                Some(value) => expanded += &value,
                None => expanded += &unset(name)?,
            }
            rest = after;
        }
        expanded += rest;
        Ok(expanded)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads the environment"
)]
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn names_are_expanded() {
        let settings = Settings::new(vec![
            ("Queue".to_owned(), "jobs".to_owned()),
            ("AzureWebJobsOther".to_owned(), "o".to_owned()),
            ("Empty".to_owned(), String::new()),
        ]);
        let check = |text: &str, expected: Result<&str, &str>| {
            let got = settings.expand(text);
            assert_eq!(got.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("jobs", Ok("jobs"));
        check("%QUEUE%", Ok("jobs"));
        check("a-%queue%-%Queue%", Ok("a-jobs-jobs"));
        check("%nowhere-set%", Err("nowhere-set"));
        check("%Empty%", Err("Empty"));
        check("50%", Ok("50%"));
        assert_eq!(settings.expand_or_remove("x %nowhere-set% y"), "x  y");
        assert_eq!(settings.connection("Other").as_deref(), Some("o"));
    }
}
