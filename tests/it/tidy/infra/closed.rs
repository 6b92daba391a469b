//! Who gets in without a role, what outlives its deletion, and which checks are skipped.

use super::super::{files, read};

/// What no check of others looks at: who gets in without a role, and what outlives its deletion.
#[test]
fn nothing_is_open_but_the_app() {
    for (file, line, count) in [
        (
            "modules/work-storage.bicep",
            "allowSharedKeyAccess: false",
            1,
        ),
        (
            "modules/work-storage.bicep",
            "allowBlobPublicAccess: false",
            1,
        ),
        (
            "modules/work-storage.bicep",
            "isVersioningEnabled: false",
            1,
        ),
        ("modules/work-storage.bicep", "publicAccess: 'None'", 2),
        (
            "modules/archive-storage.bicep",
            "allowSharedKeyAccess: keyAccess",
            1,
        ),
        (
            "modules/archive-storage.bicep",
            "allowBlobPublicAccess: false",
            1,
        ),
        (
            "modules/archive-storage.bicep",
            "isVersioningEnabled: false",
            1,
        ),
        ("modules/archive-storage.bicep", "publicAccess: 'None'", 1),
        ("main.bicep", "keyAccess: exportType == 'custom'", 1),
        ("main.bicep", "param privateNetwork bool = true", 1),
        (
            "modules/database.bicep",
            "azureADOnlyAuthentication: true",
            1,
        ),
        ("modules/secrets.bicep", "enableRbacAuthorization: true", 1),
        ("modules/monitoring.bicep", "DisableLocalAuth: true", 1),
        ("modules/monitoring.bicep", "disableLocalAuth: true", 1),
        ("modules/function-app.bicep", "type: 'UserAssigned'", 1),
        ("modules/function-app.bicep", "httpsOnly: true", 1),
        ("modules/function-app.bicep", "allow: false", 2),
    ] {
        let text = read(&format!("infra/{file}"));
        let found = text.lines().filter(|it| it.trim() == line).count();
        assert_eq!(found, count, "infra/{file}: `{line}`");
    }
    for file in ["work-storage", "archive-storage"] {
        let text = read(&format!("infra/modules/{file}.bicep"));
        for policy in ["deleteRetentionPolicy", "containerDeleteRetentionPolicy"] {
            let off = format!("    {policy}: {{\n      enabled: false\n    }}\n");
            assert!(
                text.contains(&off),
                "{file}: {policy} keeps what is deleted"
            );
        }
    }
}

#[test]
fn every_skipped_check_has_a_reason() {
    let mut count = 0;
    for file in files("infra") {
        for line in file
            .text
            .lines()
            .filter(|line| line.contains("checkov:skip"))
        {
            let (id, reason) = line
                .split_once("checkov:skip=")
                .and_then(|(_, skip)| skip.split_once(": "))
                .unwrap_or_else(|| panic!("{}: {line}", file.path));
            assert!(id.starts_with("CKV"), "{}: {line}", file.path);
            assert!(
                reason.len() > 20 && reason.ends_with('.'),
                "{}: {line}",
                file.path
            );
            count += 1;
        }
    }
    assert!(count > 0, "skips have another form: look at this test");
}
