//! Access keys: one for each function, and a master key for everything.

use std::fmt;

use uuid::Uuid;

use crate::manifest::Function;

/// The keys of one host, made anew for each.
pub(crate) struct Keys {
    master: String,
    functions: Vec<(String, String)>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn generate<'a>(functions: impl Iterator<Item = &'a Function>) -> Self {
        let key = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self {
            master: key(),
            functions: functions
                .map(|function| (function.name.clone(), key()))
                .collect(),
        }
    }

    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    pub(crate) fn function(&self, name: &str) -> Option<&str> {
        self.functions
            .iter()
            .find(|(function, _)| function.eq_ignore_ascii_case(name))
            .map(|(_, key)| key.as_str())
    }

    pub(crate) fn is_master(&self, key: &str) -> bool {
        key == self.master
    }

    /// Whether a key opens a function of level `function`.
    pub(crate) fn opens(&self, function: &str, key: &str) -> bool {
        self.is_master(key) || self.function(function) == Some(key)
    }
}
