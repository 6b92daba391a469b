//! The one table of functions, and the steps of a request with the function that does each.

use serde::{Deserialize, Serialize};

/// How a function is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// By HTTP, forwarded to the handler under `/api/…`.
    Http,
    /// By a message in the queue of the function's name.
    Queue,
    /// By the clock.
    Timer,
}

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $trigger:ident;)*) => {
        /// A function: its name is the folder, the queue, the route on the handler and (with `_`) the module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Function { $($(#[$doc])* $variant,)* }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name everywhere.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How it is started.
            #[must_use]
            pub fn trigger(self) -> Trigger {
                match self { $(Self::$variant => Trigger::$trigger,)* }
            }

            /// The function of this name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

functions! {
    /// Takes a request by HTTP.
    Intake = "intake", Http;
    /// Takes a request from a queue.
    IntakeQueue = "intake-queue", Queue;
    /// Shows requests, plans, reports, packages.
    Requests = "requests", Http;
    /// Takes decisions.
    Decide = "decide", Http;
    /// Makes App Center export.
    ExportConfigure = "export-configure", Queue;
    /// Lists every crash and error of an app by API.
    Inventory = "inventory", Queue;
    /// Searches one app and day of the archive for everyone who waits for it.
    BlobSearch = "blob-search", Queue;
    /// From hits to install IDs, reports and the plan.
    InstallIdResolve = "install-id-resolve", Queue;
    /// Fetches metadata, stack trace, logs and attachments of reports into Blob Storage.
    Collect = "collect", Queue;
    /// App Center Test: an app's runs, and its test data with all files.
    TestExport = "test-export", Queue;
    /// Blocks install IDs.
    Block = "block", Queue;
    /// Deletes reports.
    Delete = "delete", Queue;
    /// Package and report.
    Aggregate = "aggregate", Queue;
    /// Moves on what stands still.
    Sweep = "sweep", Timer;
}

/// Where a request is. A step is done by one function; a function can do several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make App Center export to Blob Storage.
    Configure,
    /// List every crash and error by API.
    Inventory,
    /// Fetch every report that is not yet fetched, of apps whose data is got by API.
    Gather,
    /// List the test runs of each app, and fetch its test data for an export: only of requests that name `test`.
    Tests,
    /// First pass over the archive: find the person.
    Find,
    /// From the first pass to install IDs.
    Resolve,
    /// A pass for what names reports of which only a part was found, such as an attachment: it tells their installs.
    Link,
    /// From that pass to install IDs.
    Relate,
    /// Second pass: every row and report of the installs found, and who else used them.
    Widen,
    /// From both passes to the plan.
    Plan,
    /// A person looks at the plan.
    Approval,
    /// Fetch what the package needs.
    Collect,
    /// Stop ingestion for the installs.
    Block,
    /// Delete the reports.
    Delete,
    /// List once more, of apps whose data is got by API.
    Relist,
    /// Fetch what is new in that list.
    Regather,
    /// Third pass: what arrived between plan and block.
    Recheck,
    /// From the third pass to the list of what arrived.
    Settle,
    /// Package and report.
    Aggregate,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 19] = [
        Self::Configure,
        Self::Inventory,
        Self::Gather,
        Self::Tests,
        Self::Find,
        Self::Resolve,
        Self::Link,
        Self::Relate,
        Self::Widen,
        Self::Plan,
        Self::Approval,
        Self::Collect,
        Self::Block,
        Self::Delete,
        Self::Relist,
        Self::Regather,
        Self::Recheck,
        Self::Settle,
        Self::Aggregate,
    ];

    /// The function that does it; none for what a person does.
    #[must_use]
    pub fn function(self) -> Option<Function> {
        Some(match self {
            Self::Configure => Function::ExportConfigure,
            Self::Find | Self::Link | Self::Widen | Self::Recheck => Function::BlobSearch,
            Self::Resolve | Self::Relate | Self::Plan | Self::Settle => Function::InstallIdResolve,
            Self::Approval => return None,
            Self::Inventory | Self::Relist => Function::Inventory,
            Self::Gather | Self::Collect | Self::Regather => Function::Collect,
            Self::Tests => Function::TestExport,
            Self::Block => Function::Block,
            Self::Delete => Function::Delete,
            Self::Aggregate => Function::Aggregate,
        })
    }

    /// Whether it searches the archive, sharing its passes with other requests.
    #[must_use]
    pub fn is_search(self) -> bool {
        self.function() == Some(Function::BlobSearch)
    }

    /// Its name in blob names, messages and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Inventory => "inventory",
            Self::Gather => "gather",
            Self::Tests => "tests",
            Self::Find => "find",
            Self::Resolve => "resolve",
            Self::Link => "link",
            Self::Relate => "relate",
            Self::Widen => "widen",
            Self::Plan => "plan",
            Self::Approval => "approval",
            Self::Collect => "collect",
            Self::Block => "block",
            Self::Delete => "delete",
            Self::Relist => "relist",
            Self::Regather => "regather",
            Self::Recheck => "recheck",
            Self::Settle => "settle",
            Self::Aggregate => "aggregate",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde_and_of_the_host() {
        for step in Step::ALL {
            let json = serde_json::to_string(&step).expect("a plain enum");
            assert_eq!(json, format!("\"{}\"", step.name()));
        }
        for function in Function::ALL {
            assert_eq!(Function::of_name(function.name()), Some(*function));
            let valid = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(function.name().chars().all(valid));
        }
        assert_eq!(Function::of_name("purge"), None);
    }
}
