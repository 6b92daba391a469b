//! `appcenter-dsr`: the handler (`serve`) and the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    appcenter_dsr::cli::main()
}
