//! A SQL Server for tests: Microsoft's mock of the wire protocol, behind a gateway of ours that reads every request, lets
//! SQLite answer it (each T-SQL file has a file of the same name there), and breaks things when it is told to.
//!
//! The mock speaks the protocol and knows no SQL; so this proves the wire and what is sent, and not the T-SQL.

mod faults;
mod request;
mod tls;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use mssql_mock_tds::{
    ColumnDefinition, ColumnValue, ConnectionStore, MockTdsServer, QueryRegistry, QueryResponse,
    Row, SqlDataType, TerminalError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{SqlEncryption, SqlLogin, SqlServer};
use crate::ledger::error::Failure;
use crate::ledger::server::Server;
use crate::ledger::sqlite::Sqlite;
use crate::ledger::statement::{Dialect, Parameter, Statement, Value};
use crate::ledger::{Backend, Ledger};

/// What every file of T-SQL begins with, in capitals: the mock finds its answer by it.
const NEEDLE: &str = "SET NOCOUNT ON";
/// The longest packet, as the client proposes it. The mock takes a packet for a request, and waits for ever for the end
/// of a longer one.
const LONGEST: usize = 4096;
/// Type of a packet: a call of a procedure.
const RPC: u8 = 3;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It is answered with an error number.
    Error(u32),
    /// The connection breaks before it is carried out.
    BreakBefore,
    /// The connection breaks after it was carried out.
    BreakAfter,
    /// Nobody answers.
    Stall,
}

struct Request {
    body: Vec<u8>,
    packets: usize,
    /// What the mock gets.
    short: Vec<u8>,
}

struct State {
    mock: SocketAddr,
    registry: Arc<tokio::sync::Mutex<QueryRegistry>>,
    sqlite: Sqlite,
    /// One request at a time: the mock has one answer.
    turn: tokio::sync::Mutex<()>,
    acts: Mutex<VecDeque<Act>>,
    /// Statements that were asked, and in how many packets.
    requests: Mutex<Vec<(Statement, usize)>>,
    connections: AtomicUsize,
}

/// The server, and how it is reached.
pub(in crate::ledger) struct Lab {
    state: Arc<State>,
    address: SocketAddr,
    store: Arc<tokio::sync::Mutex<ConnectionStore>>,
    _folder: tempfile::TempDir,
}

impl Lab {
    pub(in crate::ledger) async fn start() -> Self {
        let mock = MockTdsServer::new("127.0.0.1:0").await.expect("it listens");
        let folder = tempfile::tempdir().expect("a folder");
        let state = Arc::new(State {
            mock: mock.local_addr(),
            registry: mock.query_registry(),
            sqlite: Sqlite::new(&folder.path().join("server.db")),
            turn: tokio::sync::Mutex::new(()),
            acts: Mutex::new(VecDeque::new()),
            requests: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
        });
        let store = mock.connection_store();
        tokio::spawn(mock.run());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.serve(client).await });
            }
        });
        Self {
            state,
            address,
            store,
            _folder: folder,
        }
    }

    fn settings(&self, login: SqlLogin) -> SqlServer {
        SqlServer {
            port: self.address.port(),
            login,
            ..settings()
        }
    }

    fn over(server: Server) -> Ledger {
        Ledger {
            backend: Backend::Server(Box::new(server)),
            // 15 keys of 68 characters, twice two bytes each, and the statement.
            statement_rows: 15,
        }
    }

    /// A ledger in it, as one process has it.
    pub(in crate::ledger) fn ledger(&self) -> Ledger {
        self.changed(|_| {})
    }

    /// The same with more rows a statement.
    fn with_rows(&self, rows: usize) -> Ledger {
        Ledger {
            statement_rows: rows,
            ..self.ledger()
        }
    }

    /// The same with other settings.
    fn changed(&self, change: impl FnOnce(&mut SqlServer)) -> Ledger {
        let mut settings = self.settings(settings().login);
        change(&mut settings);
        Self::over(Server::new(&settings).hurried())
    }

    /// The same with a token.
    fn with_token(&self, credential: Arc<dyn TokenCredential>) -> Ledger {
        let settings = self.settings(SqlLogin::Identity { client_id: None });
        Self::over(Server::new(&settings).hurried().with_credential(credential))
    }

    /// What happens to the next requests.
    fn will(&self, acts: &[Act]) {
        self.state.acts.lock().expect("no panic").extend(acts);
    }

    fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<Statement> {
        let requests = self.state.requests.lock().expect("no panic");
        requests.iter().map(|(statement, _)| *statement).collect()
    }

    /// The packets of the longest request.
    fn most_packets(&self) -> Option<usize> {
        let requests = self.state.requests.lock().expect("no panic");
        requests.iter().map(|(_, packets)| *packets).max()
    }

    /// Every statement was asked, each in one packet.
    pub(in crate::ledger) fn check_requests(&self) {
        let requests = self.requests();
        for statement in Statement::ALL {
            assert!(requests.contains(statement), "{statement:?}");
        }
        assert_eq!(self.most_packets(), Some(1));
    }
}

/// A server on this machine, at no port.
fn settings() -> SqlServer {
    SqlServer {
        host: "127.0.0.1".to_owned(),
        port: 0,
        database: "ledgers".to_owned(),
        login: SqlLogin::Password {
            user: "writer".to_owned(),
            password: "a password".into(),
        },
        encryption: SqlEncryption::Plaintext,
        host_in_certificate: None,
        connect_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(5),
    }
}

/// A packet: its type, whether it ends a message, and all its bytes.
async fn packet(stream: &mut TcpStream) -> Option<(u8, bool, Vec<u8>)> {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).await.ok()?;
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    assert!(
        (8..=LONGEST).contains(&length),
        "a packet of {length} bytes"
    );
    bytes.resize(length, 0);
    stream.read_exact(&mut bytes[8..]).await.ok()?;
    Some((bytes[0], bytes[1] & 1 == 1, bytes))
}

/// A request of one packet that holds what the mock finds its answer by.
fn needle() -> Vec<u8> {
    let mut packet = vec![RPC, 1, 0, 0, 0, 0, 1, 0];
    packet.extend(NEEDLE.encode_utf16().flat_map(u16::to_le_bytes));
    packet[3] = u8::try_from(packet.len()).expect("it is short");
    packet
}

impl State {
    /// Hands packets to and fro until one side ends.
    async fn serve(&self, mut client: TcpStream) -> Option<()> {
        let mut mock = TcpStream::connect(self.mock).await.ok()?;
        loop {
            let (kind, mut is_last, bytes) = packet(&mut client).await?;
            if kind == RPC {
                let (mut body, mut packets) = (bytes[8..].to_vec(), 1);
                while !is_last {
                    let (kind, last, bytes) = packet(&mut client).await?;
                    assert_eq!(kind, RPC);
                    body.extend_from_slice(&bytes[8..]);
                    (is_last, packets) = (last, packets + 1);
                }
                // The mock would answer each packet of a long request: it gets a short one that finds the same answer.
                let short = if packets == 1 { bytes } else { needle() };
                let request = Request {
                    body,
                    packets,
                    short,
                };
                self.answer(&request, &mut client, &mut mock).await?;
                continue;
            }
            mock.write_all(&bytes).await.ok()?;
            while !is_last {
                let (_, last, bytes) = packet(&mut client).await?;
                mock.write_all(&bytes).await.ok()?;
                is_last = last;
            }
            let (_, _, answer) = packet(&mut mock).await?;
            client.write_all(&answer).await.ok()?;
        }
    }

    async fn answer(
        &self,
        request: &Request,
        client: &mut TcpStream,
        mock: &mut TcpStream,
    ) -> Option<()> {
        let (text, parameters) = request::read(&request.body).expect("a request");
        let (_, after) = text.split_once("].[Crashes_").expect("a table");
        let app = after[..36].parse().expect("an app's ID");
        let is_it = |it: &&Statement| it.text(Dialect::Tsql, app) == text;
        let statement = *Statement::ALL.iter().find(is_it).expect("a file's text");
        self.requests
            .lock()
            .expect("no panic")
            .push((statement, request.packets));
        let act = self.acts.lock().expect("no panic").pop_front();
        if act == Some(Act::BreakBefore) {
            return None;
        }
        if act == Some(Act::Stall) {
            std::future::pending::<()>().await;
        }
        let _turn = self.turn.lock().await;
        let response = match act {
            Some(Act::Error(number)) => error(number),
            _ => self.carry_out(statement, app, parameters).await,
        };
        if act == Some(Act::BreakAfter) {
            return None;
        }
        self.registry.lock().await.register(NEEDLE, response);
        mock.write_all(&request.short).await.ok()?;
        let (_, _, answer) = packet(mock).await?;
        client.write_all(&answer).await.ok()
    }

    async fn carry_out(
        &self,
        statement: Statement,
        app: crate::ledger::AppId,
        parameters: Vec<Parameter>,
    ) -> QueryResponse {
        let rows = match self.sqlite.run(statement, app, parameters).await {
            Ok(rows) => rows,
            Err(Failure::NoTable) => return error(208),
            Err(failure) => panic!("{failure:?}"),
        };
        let types = match statement {
            Statement::All => vec![SqlDataType::NVarChar, SqlDataType::BigInt],
            Statement::Unretrieved => vec![SqlDataType::NVarChar],
            Statement::Counts => vec![SqlDataType::BigInt; 2],
            _ => vec![SqlDataType::BigInt],
        };
        let column = |kind| ColumnDefinition::new("", kind);
        let value = |value: Value| match value {
            Value::Text(text) => ColumnValue::NVarChar(text),
            Value::Number(number) => ColumnValue::BigInt(number),
        };
        let row = |row: Vec<Value>| Row::new(row.into_iter().map(value).collect());
        QueryResponse::new(
            types.into_iter().map(column).collect(),
            rows.into_iter().map(row).collect(),
        )
    }
}

fn error(number: u32) -> QueryResponse {
    QueryResponse::error_only(TerminalError::new(number, 16, "words that nobody repeats"))
}
