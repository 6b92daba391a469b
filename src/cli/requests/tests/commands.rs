//! Every command but `download`.

use clap::Parser as _;
use sha2::{Digest as _, Sha256};

use super::{Cli, ID, Service, World};
use crate::cli::requests::api::{Api, Function};
use crate::cli::requests::show::hex;

fn running(line: &str) -> (u16, String) {
    let body = format!(
        r#"{{"id":"{ID}","status":"running","step":"search","stages":{{"search":{line}}},"next_action":"nothing"}}"#
    );
    (200, body)
}

#[tokio::test]
async fn watching_prints_what_moves_and_survives_a_restart() {
    let plan = r#","plan":{"plan_sha256":"ab","counts":{"installs":2},"large":{"confirm_large":7,"reasons":["many"]}}"#;
    let waiting = format!(
        r#"{{"id":"{ID}","status":"awaiting_approval","next_action":"look at the plan"{plan}}}"#
    );
    let world = World {
        statuses: vec![
            running(r#"{"planned":0,"done":0}"#),
            running(r#"{"planned":40,"done":12}"#),
            (502, String::new()),
            running(r#"{"planned":40,"done":12}"#),
            running(
                r#"{"planned":40,"done":12,"failed":1,"waiting":3,"waiting_until":"2026-11-21T09:00:00Z","waiting_for":"export pending"}"#,
            ),
            (200, waiting.clone()),
        ],
        ..World::default()
    };
    let service = Service::start(world).await;
    let watch = crate::cli::requests::watch::Watch {
        every: std::time::Duration::from_millis(1),
        timeout: None,
        through_approval: false,
        json: false,
    };
    let cli = Cli::try_parse_from(["requests", "--url", &service.url, "list"]).expect("arguments");
    let api = Api::new(&cli.requests, &|_name| None, Function::Requests).expect("api");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let id = ID.parse().expect("an ID");
    let code = watch
        .run(&api, &id, &mut out, &mut err)
        .await
        .expect("a code");
    assert_eq!(code, 3);
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        "running  search: nothing counted yet\n\
         running  search: 12 of 40 done\n\
         running  search: 12 of 40 done, 1 failed, 3 waiting until 2026-11-21T09:00:00Z: export pending\n\
         awaiting_approval  look at the plan\n"
    );
    assert!(
        String::from_utf8(err)
            .expect("UTF-8")
            .contains("(502); looking again")
    );
    let (code, out, _err) = service.run(&["show", ID]).await;
    assert_eq!(code, Some(0));
    assert!(
        out.contains("plan_sha256 ab\n") && out.contains("--confirm-large 7"),
        "{out}"
    );
}

#[tokio::test]
async fn exit_codes_of_watch() {
    for (status, expected) in [
        ("completed", 0),
        ("completed_with_exceptions", 2),
        ("awaiting_approval", 3),
        ("failed", 4),
        ("rejected", 4),
        ("cancelled", 4),
    ] {
        let body = format!(r#"{{"id":"{ID}","status":"{status}"}}"#);
        let world = World {
            statuses: vec![(200, body)],
            ..World::default()
        };
        let service = Service::start(world).await;
        let (code, _out, _err) = service.run(&["watch", ID]).await;
        assert_eq!(code, Some(expected), "{status}");
    }
    let service = Service::start(World::default()).await;
    let (code, _out, err) = service.run(&["watch", ID]).await;
    assert_eq!(code, None);
    assert!(err.contains("nothing at this address (404)"), "{err}");
}

#[tokio::test]
async fn decisions_send_what_was_said_and_show_problems() {
    let service = Service::start(World::default()).await;
    let (code, _out, err) = service
        .run(&[
            "approve",
            ID,
            "--plan-sha256",
            "ab",
            "--by",
            "dpo",
            "--also",
            "i1",
            "--also",
            "i2",
            "--confirm-large",
            "7",
        ])
        .await;
    assert_eq!(code, None);
    assert_eq!(
        err,
        "error: Precondition failed (412): another plan\n  /plan_sha256: not it\n"
    );
    let (code, _out, err) = service
        .run(&["cancel", ID, "--by", "dpo", "--reason", "x"])
        .await;
    assert_eq!(code, None);
    assert!(
        err.contains("DSR_DECIDE_KEY") && !err.contains("canary"),
        "{err}"
    );
    for action in ["reject", "extend"] {
        let (code, out, _err) = service
            .run(&[action, ID, "--by", "dpo", "--reason", "x"])
            .await;
        assert!(code == Some(0) && out.contains("running"));
    }
    let (code, _out, _err) = service
        .run(&["--key", "other", "retry", ID, "--by", "dpo"])
        .await;
    assert_eq!(code, Some(0));
    let calls = service.calls();
    let approve =
        r#"approve {"also":["i1","i2"],"approver":"dpo","confirm_large":7,"plan_sha256":"ab"}"#;
    assert_eq!(
        calls[0],
        (approve.to_owned(), Some("canary-key".to_owned()))
    );
    assert_eq!(calls[2].0, r#"reject {"by":"dpo","reason":"x"}"#);
    assert_eq!(
        calls[4],
        (r#"retry {"by":"dpo"}"#.to_owned(), Some("other".to_owned()))
    );
}

#[tokio::test]
async fn submit_list_and_show() {
    let service = Service::start(World::default()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("request.json");
    std::fs::write(&file, "{\"kind\":\"export\"}").expect("writes");
    let path = file.to_str().expect("UTF-8");
    let (code, out, err) = service.run(&["submit", path]).await;
    assert!(
        code == Some(0) && out.contains(ID) && err.is_empty(),
        "{err}"
    );
    // The key of decisions is not sent to the function that files.
    assert_eq!(
        service.calls()[0],
        ("submit {\"kind\":\"export\"}".to_owned(), None)
    );
    std::fs::write(&file, vec![b' '; 256 * 1024 + 1]).expect("writes");
    let (code, _out, err) = service.run(&["submit", path]).await;
    assert!(code.is_none() && err.contains("256 KiB"), "{err}");
    let (code, _out, err) = service.run(&["submit", "/nowhere/x.json"]).await;
    assert!(
        code.is_none() && err.contains("cannot open the document: "),
        "{err}"
    );

    let (code, out, _err) = service.run(&["list"]).await;
    assert_eq!(code, Some(0));
    assert!(
        !out.contains('\u{1b}'),
        "no control characters reach the terminal"
    );
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(
        out.contains("29 days left") && out.contains("/kind required"),
        "{out}"
    );

    let (_code, out, err) = service.run(&["show", ID, "plan"]).await;
    assert_eq!(out, "{\"schema\": 1}\n");
    assert_eq!(
        err,
        format!(
            "plan_sha256 {}\n",
            hex(&Sha256::digest("{\"schema\": 1}\n"))
        )
    );
    let (_code, out, _err) = service.run(&["show", ID, "report.md"]).await;
    assert_eq!(out, "# Report\n");
    assert!(Cli::try_parse_from(["requests", "show", ID, "x"]).is_err());
    assert!(Cli::try_parse_from(["requests", "show", "../x"]).is_err());
}
