//! A server with a certificate that nobody vouches for, and one without any.

use std::time::Duration;

use mssql_mock_tds::{
    ColumnDefinition, ColumnValue, MockTdsServer, QueryResponse, Row, SqlDataType,
    create_test_identity,
};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};

use super::{Lab, NEEDLE, settings};
use crate::config::{SqlEncryption, SqlServer};
use crate::ledger::server::Server;
use crate::ledger::tests::app;
use crate::ledger::{Cause, Counts, Error};

/// Certificate and key, made for this test, for `localhost` and `127.0.0.1`.
fn certificate() -> Result<(Vec<u8>, Vec<u8>), openssl::error::ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    let (begin, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
    builder.set_not_before(&begin)?;
    builder.set_not_after(&end)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build().to_pem()?, key.private_key_to_pem_pkcs8()?))
}

/// What a server says of an app, when it is asked over TLS.
async fn ask(
    encryption: SqlEncryption,
    host_in_certificate: Option<&str>,
    is_known: bool,
) -> (Result<Counts, Error>, bool) {
    let (certificate, key) = certificate().expect("it is made");
    let identity = create_test_identity(&certificate, &key).expect("an identity");
    let mock = if encryption == SqlEncryption::Strict {
        MockTdsServer::new_with_strict_tls("127.0.0.1:0", identity).await
    } else {
        MockTdsServer::new_with_tls("127.0.0.1:0", Some(identity)).await
    };
    let mock = mock.expect("it listens");
    let bigint = ColumnDefinition::new("", SqlDataType::BigInt);
    let row = Row::new(vec![ColumnValue::BigInt(3), ColumnValue::BigInt(1)]);
    let answer = QueryResponse::new(vec![bigint; 2], vec![row]);
    mock.query_registry().lock().await.register(NEEDLE, answer);
    let (port, store) = (mock.local_addr().port(), mock.connection_store());
    tokio::spawn(mock.run());
    let server = Server::new(&SqlServer {
        port,
        encryption,
        host_in_certificate: host_in_certificate.map(str::to_owned),
        ..settings()
    });
    let authority = is_known.then_some(certificate);
    let ledger = Lab::over(server.hurried().with_authority(authority));
    let found = ledger.counts(app()).await;
    let store = store.lock().await;
    let has_seen_us = store.all().values().any(|login| login.authenticated);
    (found, has_seen_us)
}

/// A certificate has to be vouched for, and to be the server's: else the server never sees a login.
#[tokio::test]
async fn a_certificate_is_checked() {
    let expected = Counts {
        total: 3,
        retrieved: 1,
    };
    let strict = SqlEncryption::Strict;
    assert_eq!(ask(strict, None, true).await, (Ok(expected), true));
    let other = Some("localhost");
    assert_eq!(ask(strict, other, true).await, (Ok(expected), true));
    let refused = || (Err(Error::Refused(Cause::Tls)), false);
    assert_eq!(ask(strict, Some("x.example"), true).await, refused());
    assert_eq!(ask(strict, None, false).await, refused());
    // How this server sets TLS up inside the protocol is not how the client expects it: only the refusal is proved.
    assert_eq!(ask(SqlEncryption::Required, None, false).await, refused());
}

/// This one has no TLS: who asks for it must get nothing else.
#[tokio::test]
async fn tls_is_never_left_out() {
    for encryption in [
        SqlEncryption::Required,
        SqlEncryption::Strict,
        SqlEncryption::Unchecked,
    ] {
        let lab = Lab::start().await;
        let ledger = lab.changed(|server| {
            server.encryption = encryption;
            server.connect_timeout = Duration::from_millis(300);
        });
        assert!(ledger.counts(app()).await.is_err(), "{encryption:?}");
        assert!(lab.requests().is_empty());
        let store = lab.store.lock().await;
        assert!(store.all().values().all(|login| !login.authenticated));
    }
}
