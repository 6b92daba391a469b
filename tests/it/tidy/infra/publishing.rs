//! How the package gets there: azd, and the workflow on GitHub.

use super::super::{files, read};

#[test]
fn azd_deploys_what_is_packaged() {
    let azd = read("azure.yaml");
    for line in [
        "  handler:",
        "    host: function",
        "    language: custom",
        "    dist: target/package/app",
        "        run: cargo xtask package",
    ] {
        assert!(
            azd.lines().any(|it| it == line),
            "azure.yaml has no line `{line}`"
        );
    }
    let app = read("infra/modules/function-app.bicep");
    assert!(
        app.contains("'azd-service-name': 'handler'"),
        "azd finds the app by this tag"
    );
    assert!(read("dev/xtask/src/package.rs").contains("target/package\""));
}

#[test]
fn actions_are_pinned_by_commit() {
    let mut count = 0;
    for file in files(".github") {
        for line in file.text.lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            let commit = action.split_once('@').map(|(_, commit)| commit);
            let commit = commit
                .and_then(|it| it.split(' ').next())
                .unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(
                is_commit && action.contains(" # v"),
                "{}: {action}: a commit, and the version it is",
                file.path
            );
            count += 1;
        }
    }
    assert!(count > 0, "no action was found");
}
