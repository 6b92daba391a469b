//! Chromium, in which a test opens the export package.

use std::process::Stdio;

use anyhow::Context as _;

use crate::run::{check, program};

/// Names that it goes by.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs it from the system's packages unless it is there.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to do.
pub(crate) async fn install() -> anyhow::Result<()> {
    for name in NAMES {
        let mut version = program(name);
        version
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if version.status().await.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    println!("Installing Chromium, which opens the export package (apt-get install chromium)");
    // Only root may install; anybody else asks `sudo`, which must not wait for a password here.
    let script = "as_root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }\n\
                  install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; }\n\
                  install || { as_root apt-get update && install; }";
    let mut install = program("sh");
    install.args(["-c", script]).stdout(Stdio::null());
    check(&mut install)
        .await
        .context("Chromium is missing and could not be installed: install the package `chromium`")
}
