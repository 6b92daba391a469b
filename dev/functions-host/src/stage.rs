//! The packaged tree: host.json, `<function>/function.json` and the handler side by side.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Stages a project: host.json and the handler side by side in `target`, with the function folders around them.
///
/// Each `functions/<name>/function.json` goes to `<target>/<name>/function.json`; what an earlier run left there of
/// functions that are gone is removed. The handler gets the name that host.json starts, as a hard link where that is possible, with mode 755.
///
/// # Errors
/// When something cannot be read or written, or host.json starts no file beside itself.
pub fn stage(project_root: &Path, handler: &Path, target: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(target).with_context(|| format!("{} cannot be made", target.display()))?;
    copy(&project_root.join("host.json"), &target.join("host.json"))?;
    let mut names = Vec::new();
    let functions = project_root.join("functions");
    for entry in fs::read_dir(&functions)
        .with_context(|| format!("{} cannot be read", functions.display()))?
    {
        let folder = entry?;
        let file = folder.path().join("function.json");
        if file.is_file() {
            let place = target.join(folder.file_name());
            fs::create_dir_all(&place)?;
            copy(&file, &place.join("function.json"))?;
            names.push(folder.file_name());
        }
    }
    for entry in fs::read_dir(target)? {
        let entry = entry?;
        let is_function = entry.path().join("function.json").is_file();
        if is_function && !names.contains(&entry.file_name()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let place = target.join(executable(&project_root.join("host.json"))?);
    if place.exists() {
        fs::remove_file(&place)?;
    }
    // A link would change the original's mode with its own.
    let is_runnable = fs::metadata(handler)
        .with_context(|| format!("the handler {} is not there", handler.display()))?
        .permissions()
        .mode()
        & 0o777
        == 0o755;
    if !is_runnable || fs::hard_link(handler, &place).is_err() {
        copy(handler, &place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The file that host.json starts: a plain name, as only then the packaging tools make it executable.
fn executable(host: &Path) -> anyhow::Result<String> {
    let host: Value = serde_json::from_str(&fs::read_to_string(host)?)
        .with_context(|| format!("{} is not JSON", host.display()))?;
    let name = host
        .pointer("/customHandler/description/defaultExecutablePath")
        .and_then(Value::as_str)
        .context("host.json has no customHandler.description.defaultExecutablePath")?;
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(name.to_owned()),
        _ => bail!("defaultExecutablePath must be a plain file name, not '{name}'"),
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::stage;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_tree_is_what_the_host_reads() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (project, target) = (folder.path().join("project"), folder.path().join("app"));
        fs::create_dir_all(project.join("functions/jobs"))?;
        fs::create_dir_all(project.join("functions/notes"))?;
        fs::write(project.join("functions/jobs/function.json"), "{}")?;
        let host = r#"{"customHandler":{"description":{"defaultExecutablePath":"handler"}}}"#;
        fs::write(project.join("host.json"), host)?;
        fs::write(project.join("built"), "#!")?;
        fs::create_dir_all(target.join("gone"))?;
        fs::write(target.join("gone/function.json"), "{}")?;
        for _ in 0..2 {
            stage(&project, &project.join("built"), &target)?;
            let mut names: Vec<_> = fs::read_dir(&target)?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<Result<_, _>>()?;
            names.sort();
            assert_eq!(names, ["handler", "host.json", "jobs"]);
            let mode = fs::metadata(target.join("handler"))?.permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
        }
        fs::write(
            project.join("host.json"),
            host.replace("handler\"", "bin/handler\""),
        )?;
        assert!(stage(&project, &project.join("built"), &target).is_err());
        Ok(())
    }
}
