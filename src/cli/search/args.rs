//! The arguments of `appcenter-dsr search`.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::search::Kind;

/// What the command line holds, kind by kind.
#[derive(Args)]
pub(super) struct Flags {
    /// An install ID, in any spelling
    #[arg(long = "install-id", value_name = "ID")]
    pub(super) install_id: Vec<String>,
    /// A user ID, exactly as it is stored
    #[arg(long = "user-id", value_name = "ID", allow_hyphen_values = true)]
    pub(super) user_id: Vec<String>,
    /// An e-mail address
    #[arg(long = "email", value_name = "E")]
    pub(super) email: Vec<String>,
    /// A word or phrase, such as a name
    #[arg(long = "term", value_name = "T", allow_hyphen_values = true)]
    pub(super) term: Vec<String>,
    /// Many people at once: JSON Lines `{"id","install_ids","user_ids","emails","terms"}`
    #[arg(long = "subjects", value_name = "FILE", conflicts_with_all = ["install_id", "user_id", "email", "term"])]
    pub(super) subjects: Option<PathBuf>,
    /// Keep an index of the days' folders in this folder, and read only the files that may hold somebody; needs `INDEX_KEY`
    #[arg(long = "index", value_name = "DIR")]
    pub(super) index: Option<PathBuf>,
    /// Say on stderr how much was read, and how fast
    #[arg(long)]
    pub(super) stats: bool,
    /// Files, folders, and addresses of containers
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
}

/// The arguments of `appcenter-dsr search`.
///
/// `Debug` shows no identifier.
pub struct SearchArgs {
    pub(super) flags: Flags,
    /// The kind of each identifier, in the order of the command line.
    pub(super) order: Vec<Kind>,
}

impl std::fmt::Debug for SearchArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchArgs")
            .field("identifiers", &self.order.len())
            .field("paths", &self.flags.paths.len())
            .finish_non_exhaustive()
    }
}

impl FromArgMatches for SearchArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut order: Vec<(usize, Kind)> = Vec::new();
        for (flag, kind) in [
            ("install_id", Kind::InstallId),
            ("user_id", Kind::UserId),
            ("email", Kind::Email),
            ("term", Kind::Term),
        ] {
            let places = matches.indices_of(flag).into_iter().flatten();
            order.extend(places.map(|place| (place, kind)));
        }
        order.sort_unstable_by_key(|(place, _)| *place);
        Ok(Self {
            flags: Flags::from_arg_matches(matches)?,
            order: order.into_iter().map(|(_, kind)| kind).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SearchArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}
