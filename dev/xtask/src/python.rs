//! Virtual environments for tools that are written in Python.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::run::{check, program};

/// A virtual environment below `target` in which pip installed these; gives its Python.
///
/// It is made anew when `wanted`, which says what is in it, has changed.
///
/// # Errors
/// When Python or its venv module is missing, or pip fails.
pub(crate) async fn environment(
    name: &str,
    wanted: &str,
    requirements: &[&str],
) -> anyhow::Result<PathBuf> {
    let folder = stack::project_root().join("target").join(name);
    let python = folder.join("bin/python");
    let done = folder.join(".installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    println!(
        "Installing {} in a virtual environment at {}",
        requirements.join(" "),
        folder.display()
    );
    check(
        program("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )
    .await
    .context(
        "Python 3.11 or newer with its venv module is needed (apt-get install python3-venv)",
    )?;
    let mut pip = program(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.current_dir(stack::project_root());
    check(pip.args(requirements)).await?;
    std::fs::write(done, wanted)?;
    Ok(python)
}
