//! One app folder, one storage account and one host for each test.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use azurite::{Account, Azurite};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use functions_host::{Host, LogSink, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The emulator of this test process. It has a thread and runtime of its own, since each test's runtime ends with it.
fn account() -> Account {
    static AZURITE: OnceLock<Azurite> = OnceLock::new();
    let azurite = AZURITE.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let azurite = Azurite::start().await.expect("Azurite starts");
                sender.send(azurite).expect("the test waits for it");
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().expect("Azurite starts")
    });
    azurite.account()
}

/// An app folder with the scripted handler.
pub(crate) struct App {
    pub(crate) folder: TempDir,
    pub(crate) account: Account,
    pub(crate) options: Options,
}

impl App {
    /// host.json as the product has it, with `changes` merged into it.
    pub(crate) fn new(changes: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let account = account();
        let mut host = json!({
            "version": "2.0",
            "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
            "customHandler": {
                "description": {"defaultExecutablePath": "handler", "arguments": ["serve"]},
                "enableForwardingHttpRequest": true,
            },
            "extensions": {"queues": {"maxPollingInterval": "00:00:00.2", "batchSize": 4, "newBatchThreshold": 2}},
        });
        merge(&mut host, changes);
        std::fs::write(folder.path().join("host.json"), host.to_string()).expect("host.json");
        std::fs::copy(
            env!("CARGO_BIN_EXE_scripted-handler"),
            folder.path().join("handler"),
        )
        .expect("the handler");
        let record = folder.path().join("record").display().to_string();
        let options = Options {
            app_root: folder.path().to_path_buf(),
            env: vec![
                (
                    "AzureWebJobsStorage".to_owned(),
                    account.connection_string(),
                ),
                ("RECORD".to_owned(), record),
            ],
            supervise_pause: Duration::from_millis(50),
            log: LogSink::memory(),
            ..Options::default()
        };
        Self {
            folder,
            account,
            options,
        }
    }

    pub(crate) fn function(self, name: &str, bindings: &Value) -> Self {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = json!({ "bindings": bindings });
        std::fs::write(folder.join("function.json"), file.to_string()).expect("function.json");
        self
    }

    /// A function on the queue of its name, with an output to `<name>-out`.
    pub(crate) fn queue_function(self, name: &str) -> Self {
        let bindings = json!([
            {"name": "msg", "type": "queueTrigger", "direction": "in", "queueName": name, "connection": ""},
            {"name": "out", "type": "queue", "direction": "out", "queueName": format!("{name}-out")},
        ]);
        self.function(name, &bindings)
    }

    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.options.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn start(&self) -> Host {
        Host::start(self.options.clone())
            .await
            .expect("the host starts")
    }

    /// Sends a text as the default encoding wants it.
    pub(crate) async fn send(&self, queue: &str, text: &str) {
        self.send_raw(queue, &STANDARD.encode(text)).await;
    }

    pub(crate) async fn send_raw(&self, queue: &str, text: &str) {
        let queue = self.account.queue(queue).expect("a client");
        if !queue.exists().await.expect("storage answers") {
            queue.create(None).await.expect("the queue is made");
        }
        let message = QueueMessage {
            message_text: Some(text.to_owned()),
        };
        let options = QueueClientSendMessageOptions {
            message_time_to_live: Some(-1),
            ..Default::default()
        };
        let message = message.try_into().expect("XML");
        queue
            .send_message(message, Some(options))
            .await
            .expect("the message is sent");
    }

    /// The texts in a queue that are visible now, as they are on the wire.
    pub(crate) async fn peek(&self, queue: &str) -> Vec<String> {
        let queue = self.account.queue(queue).expect("a client");
        if !queue.exists().await.expect("storage answers") {
            return Vec::new();
        }
        let options = azure_storage_queue::models::QueueClientPeekMessagesOptions {
            number_of_messages: Some(32),
            ..Default::default()
        };
        let peeked = queue
            .peek_messages(Some(options))
            .await
            .expect("storage answers");
        let items = peeked.into_model().expect("XML").items.unwrap_or_default();
        items
            .into_iter()
            .map(|item| item.message_text.unwrap_or_default())
            .collect()
    }

    /// How many messages a queue holds, invisible ones included.
    pub(crate) async fn count(&self, queue: &str) -> i64 {
        use azure_storage_queue::models::QueueClientGetPropertiesResultHeaders as _;
        let queue = self.account.queue(queue).expect("a client");
        let properties = queue
            .get_properties(None)
            .await
            .expect("the queue is there");
        properties
            .approximate_messages_count()
            .expect("a number")
            .map_or(-1, i64::from)
    }

    /// What the handler wrote down, in order.
    pub(crate) fn record(&self) -> Vec<Value> {
        let path: PathBuf = self.folder.path().join("record");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The bodies that were posted to a function.
    pub(crate) fn bodies(&self, function: &str) -> Vec<Value> {
        let uri = format!("/{function}");
        self.record()
            .into_iter()
            .filter(|entry| entry["uri"] == uri.as_str())
            .map(|entry| {
                serde_json::from_str(entry["body"].as_str().unwrap_or_default()).unwrap_or_default()
            })
            .collect()
    }

    /// How many handler processes started.
    pub(crate) fn starts(&self) -> usize {
        self.record()
            .iter()
            .filter(|entry| entry.get("started").is_some())
            .count()
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}
