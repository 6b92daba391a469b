//! How the package gets there: azd, and the workflow on GitHub.

use super::super::{files, read, root};

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
    assert!(read("dev/xtask/src/package/mod.rs").contains("target/package\""));
}

/// What the workflow calls is there, and it deploys the service of azure.yaml from the zip that was packaged.
#[test]
fn the_workflow_calls_what_is_there() {
    let workflow = read(".github/workflows/deploy.yml");
    let mut count = 0;
    for word in workflow.split(|it: char| it.is_whitespace() || "\"'`()".contains(it)) {
        let word = word.trim_end_matches([',', ';', ':', '.']);
        let is_path = [".ci/", "dev/", "docs/", "infra/"]
            .iter()
            .any(|it| word.starts_with(it));
        if is_path {
            assert!(
                root().join(word).exists(),
                "deploy.yml: {word} is not there"
            );
            count += 1;
        }
    }
    assert!(count >= 3, "paths have another form: look at this test");
    for line in [
        "run: .ci/run",
        "run: cargo xtask package",
        "path: target/package/appcenter-dsr.zip",
        "azd deploy handler --from-package appcenter-dsr.zip --no-prompt",
        "python3 dev/infra/kept.py \"$RUNNER_TEMP/deployments.json\" \"$RUNNER_TEMP/groups.json\" --reset \"$RESET\"",
    ] {
        let is_there = workflow.lines().any(|it| it.trim() == line);
        assert!(is_there, "deploy.yml has no line `{line}`");
    }
    // It looks at what was deployed before it deploys.
    let (before, after) = workflow.split_once("dev/infra/kept.py").expect("the look");
    assert!(!before.contains("azd provision") && after.contains("azd provision --no-state"));
    assert!(read("dev/xtask/src/package/mod.rs").contains("appcenter-dsr.zip"));
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
