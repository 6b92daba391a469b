//! The intake form, filled in and sent: what it sends is a document that the product takes.

use std::path::Path;
use std::time::Duration;

use appcenter_dsr::domain::{Document, Include, Jurisdiction, Kind};
use serde_json::{Value, json};
use url::Url;

use super::chromium::Chromium;

/// Answers in the place of the app, and keeps what was sent.
const STUB: &str = r#"
    window.sent = [];
    window.fetch = async (address, options) => {
        window.sent.push({ address, ...options });
        const { status, answer } = window.next;
        return new Response(JSON.stringify(answer), { status });
    };
"#;

/// Fills in fields by their IDs: texts, and whether a box is ticked.
fn fill(fields: &Value) -> String {
    format!(
        r"for (const [id, value] of Object.entries({fields})) {{
            const field = document.getElementById(id);
            if (typeof value === 'boolean') {{ field.checked = value; }} else {{ field.value = value; }}
        }}"
    )
}

/// Has the stub answer so, presses the button, and waits for what the page says.
async fn press(browser: &mut Chromium, status: u16, answer: &Value) -> anyhow::Result<String> {
    let next = json!({ "status": status, "answer": answer });
    let press = format!(
        "window.next = {next}; document.getElementById('result').textContent = '';
         document.getElementById('file').click();"
    );
    browser.evaluate(&press).await?;
    for _ in 0..100 {
        let said = browser
            .evaluate("document.getElementById('result').textContent")
            .await?;
        let said = said.as_str().unwrap_or_default();
        if !said.is_empty() {
            return Ok(said.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_sends_a_document_that_is_taken() -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forms/intake.html");
    let mut url = Url::from_file_path(file).expect("an absolute path");
    // A link that could say where the key goes would be one to steal it with.
    url.set_query(Some(
        "app=https://evil.invalid/&apps=contoso/shop-ios,contoso/shop-android",
    ));
    let mut browser = Chromium::start().await?;
    let seen = browser.open(url.as_str()).await?;
    // A picture that the browser has built in, of its own fields of dates, has an address as well.
    let asked = seen.requests.iter().filter(|it| !it.starts_with("data:"));
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [url.as_str()],
        "the page asks for itself"
    );
    browser.evaluate(STUB).await?;
    let address = "document.getElementById('app').value";
    assert_eq!(browser.evaluate(address).await?, "");

    // Nothing is sent while something is missing.
    assert_eq!(press(&mut browser, 202, &json!({})).await?, "");
    assert_eq!(browser.evaluate("window.sent.length").await?, 0);

    let fields = json!({
        "app": "https://contoso-dsr.azurewebsites.net/", "key": "the-key", "reference": "CRM-1042", "jurisdiction": "us-ca", "delete": true,
        "received": "2026-11-19T10:30", "test": true, "analytics": false,
        "from": "2026-10-24", "to": "2026-11-18",
        "install_ids": "e589a371-ea0c-4479-9a7b-9f834adec040\n",
        "user_ids": " u-20417 \n\n", "emails": "ana@example.com\nana@example.org", "terms": "Ana Díaz",
    });
    browser.evaluate(&fill(&fields)).await?;
    let answer = json!({ "id": "0123", "status": "received", "due": "2027-01-03" });
    let said = press(&mut browser, 202, &answer).await?;
    assert_eq!(said, "Request 0123\nStatus: received\nDue: 2027-01-03");
    let sent = browser.evaluate("window.sent[0]").await?;
    assert_eq!(
        sent["address"],
        "https://contoso-dsr.azurewebsites.net/api/requests"
    );
    assert_eq!(sent["method"], "POST");
    let headers = json!({ "content-type": "application/json", "x-functions-key": "the-key" });
    assert_eq!(sent["headers"], headers);
    let body = sent["body"].as_str().expect("a text");
    let now = "2026-11-20T09:00:00Z".parse()?;
    let document = Document::parse(body.as_bytes(), now).expect("it is taken");
    assert_eq!(document.kind, Kind::Delete);
    assert_eq!(document.jurisdiction, Jurisdiction::UsCa);
    assert_eq!(document.include, [Include::Diagnostics, Include::Test]);
    assert_eq!(document.apps.len(), 2);
    assert!(document.window.is_some());

    // The least that a request needs; what is left out has its defaults.
    let cleared = json!({
        "export": true, "received": "", "test": false, "analytics": true, "from": "", "to": "",
        "jurisdiction": "eu", "install_ids": "", "user_ids": "u-20417", "emails": "", "terms": "",
    });
    browser.evaluate(&fill(&cleared)).await?;
    press(&mut browser, 200, &answer).await?;
    let sent = browser.evaluate("window.sent[1].body").await?;
    let document = Document::parse(sent.as_str().unwrap_or_default().as_bytes(), now);
    let document = document.expect("it is taken");
    assert_eq!(document.kind, Kind::Export);
    assert!(document.window.is_none());

    // A refusal says what is wrong; nothing of it is taken for HTML, and nothing is kept.
    let refused = json!({
        "title": "The document has faults", "status": 400,
        "errors": [{ "pointer": "/subject/emails/0", "detail": "<img src=x> is no address" }],
    });
    let said = press(&mut browser, 400, &refused).await?;
    assert_eq!(
        said,
        "The document has faults\n/subject/emails/0: <img src=x> is no address"
    );
    let kept = "localStorage.length + sessionStorage.length + document.cookie.length + document.querySelectorAll('img').length";
    assert_eq!(browser.evaluate(kept).await?, 0);
    Ok(())
}

/// The body that docs/forms has for Power Automate is a document, once its expressions have values.
#[test]
fn the_flow_sends_a_document_that_is_taken() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forms/power-automate.json");
    let action: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("it is there")).expect("JSON");
    assert_eq!(action["inputs"]["method"], "POST");
    let mut body = action["inputs"]["body"].clone();
    let filled = json!({
        "kind": "export", "reference": "CRM-1042", "jurisdiction": "eu", "received_at": "2026-11-20T08:00:00Z",
        "apps": [{ "owner": "contoso", "name": "shop-ios" }], "subject": { "emails": ["ana@example.com"] },
    });
    for (name, value) in body.as_object_mut().expect("an object") {
        let expression = value.as_str().expect("an expression");
        assert!(
            expression.contains(&format!("['{name}']")),
            "{name}: {expression}"
        );
        *value = filled[name].clone();
    }
    let now = "2026-11-20T09:00:00Z".parse().expect("a time");
    Document::parse(body.to_string().as_bytes(), now).expect("it is taken");
}
