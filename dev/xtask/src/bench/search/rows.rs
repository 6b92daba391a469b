//! Records of an archive: rows of `logs.v1.data` with the columns that the simulator's exporter writes, and reports.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::people::{Group, Identifier, Kind, email, user_id, uuid, word};

/// Device, maker, system, version, locale, country.
const DEVICES: [[&str; 6]; 6] = [
    ["Pixel 7", "Google", "Android", "14", "de_DE", "DE"],
    ["SM-S911B", "samsung", "Android", "14", "en_GB", "GB"],
    ["SM-A546B", "samsung", "Android", "13", "es_ES", "ES"],
    ["iPhone14,2", "Apple", "iOS", "17.5", "en_US", "US"],
    ["iPhone15,4", "Apple", "iOS", "18.1", "fr_FR", "FR"],
    ["iPad13,4", "Apple", "iOS", "17.5", "pt_BR", "BR"],
];
const EVENTS: [&str; 7] = [
    "Screen shown",
    "Item viewed",
    "Basket changed",
    "Search run",
    "Filter set",
    "Sync finished",
    "Größe gewählt",
];
const SCREENS: [&str; 6] = [
    "home", "basket", "product", "settings", "orders", "checkout",
];
const FRAMES: [&str; 6] = [
    "com.contoso.shop.Checkout.pay (Checkout.kt:41)",
    "com.contoso.shop.cart.CartRepository$merge$2.invokeSuspend (CartRepository.kt:118)",
    "kotlin.coroutines.jvm.internal.BaseContinuationImpl.resumeWith (ContinuationImpl.kt:33)",
    "android.os.Handler.dispatchMessage (Handler.java:106)",
    "android.os.Looper.loop (Looper.java:288)",
    "android.app.ActivityThread.main (ActivityThread.java:7918)",
];
/// The app that everything belongs to.
pub(in crate::bench) const APP: &str = "0f9e8d7c-6b5a-4948-b7a6-958473625140";
/// Installs of people whom nobody looks for.
const INSTALLS: u64 = 20_000;

/// What a record holds beside its own: the identifier of somebody looked for, or something that looks like it.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) enum Planted<'a> {
    Nothing,
    /// An identifier, in one of the forms that logs have; the number chooses which.
    One(&'a Identifier, usize),
    /// Another person's, one character away.
    LookAlike(&'a Identifier),
}

/// What the fields of a record say where the plan of the archive puts something.
struct Fields {
    install: String,
    user: String,
    /// Members of the properties, as JSON without the braces.
    properties: String,
}

/// When a record was made.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Minute(pub(in crate::bench) u32);

impl Minute {
    fn time(self, random: &mut StdRng) -> String {
        let Self(minute) = self;
        let (second, tenths): (u32, u32) = (random.random_range(0..60), random.random_range(0..10));
        format!(
            "2026-11-20T{:02}:{:02}:{second:02}.{tenths}31282Z",
            minute / 60,
            minute % 60
        )
    }
}

/// The install of somebody else: always one of the same few thousand.
fn other_install(random: &mut StdRng) -> String {
    let number: u64 = random.random_range(0..INSTALLS);
    let a = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let b = a.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    format!(
        "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

fn properties(random: &mut StdRng) -> String {
    let mut members = String::new();
    for at in 0..random.random_range(1..6_u8) {
        if at > 0 {
            members.push(',');
        }
        let screen = SCREENS[random.random_range(0..SCREENS.len())];
        let number: u32 = random.random_range(0..100_000);
        // Writing to a string cannot fail.
        _ = match random.random_range(0..12_u8) {
            0..4 => write!(members, r#""screen{at}":"{screen}""#),
            4..7 => write!(members, r#""items{at}":"{number}""#),
            7 => write!(
                members,
                r#""url{at}":"https://shop.contoso.example/{screen}?q={}%20{}&page={}""#,
                word(random, false),
                word(random, false),
                number % 50
            ),
            8 => write!(members, r#""trace{at}":"{:032x}""#, random.random::<u128>()),
            9 => {
                let bytes: [u8; 24] = random.random();
                write!(members, r#""etag{at}":"{}""#, BASE64_STANDARD.encode(bytes))
            }
            10 => write!(members, r#""title{at}":"{} – größer""#, word(random, true)),
            _ => write!(
                members,
                r#""duration{at}":"{}.{:03}","ok{at}":"true""#,
                number % 60,
                number % 1000
            ),
        };
    }
    members
}

/// An identifier inside of a text or a member of the properties, in one of the forms that logs have.
fn member(identifier: &Identifier, form: usize) -> String {
    let text = &identifier.text;
    match (identifier.kind, form % 8) {
        (Kind::User, _) => format!(r#""user_id":{}"#, json!(text)),
        (_, 0..4) => format!(r#""contact":{}"#, json!(text)),
        (_, 4) => format!(r#""note":"written to {text}, no answer""#),
        (_, 5) => {
            let encoded: String = text
                .bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                        char::from(byte).to_string()
                    }
                    _ => format!("%{byte:02X}"),
                })
                .collect();
            format!(r#""link":"https://shop.contoso.example/reset?for={encoded}&v=2""#)
        }
        (_, 6) => {
            let escaped: String = text
                .encode_utf16()
                .map(|unit| match char::from_u32(u32::from(unit)) {
                    Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
                    _ => format!("\\u{unit:04x}"),
                })
                .collect();
            format!(r#""contact":"{escaped}""#)
        }
        _ => {
            let note = format!("a note about {text}, kept for the support");
            format!(r#""blob":"{}""#, BASE64_STANDARD.encode(note))
        }
    }
}

fn fields(planted: Planted<'_>, random: &mut StdRng) -> Fields {
    let mut fields = Fields {
        install: other_install(random),
        user: "None".to_owned(),
        properties: properties(random),
    };
    if random.random_bool(0.25) {
        fields.user = user_id(random, Group::Others);
    } else if random.random_bool(0.1) {
        fields.properties = format!(r#"{},"mail":"{}""#, fields.properties, email(random));
    }
    match planted {
        Planted::Nothing => {}
        Planted::One(identifier, form) => match (identifier.kind, form % 8) {
            // Some SDKs write upper case.
            (Kind::Install, 0) => fields.install = identifier.text.to_uppercase(),
            (Kind::Install, _) => fields.install.clone_from(&identifier.text),
            (Kind::User, 0..6) => fields.user.clone_from(&identifier.text),
            _ => fields.properties = format!("{},{}", fields.properties, member(identifier, form)),
        },
        Planted::LookAlike(Identifier { kind, text }) => {
            let member = match kind {
                Kind::Install => format!(r#""ref":"{text}0""#),
                Kind::User => format!(r#""order":"{text}-2""#),
                Kind::Email => format!(r#""contact":"x{text}""#),
                Kind::Term => format!(r#""contact":"{text}ova""#),
            };
            fields.properties = format!("{},{member}", fields.properties);
        }
    }
    fields
}

/// Adds a row.
pub(in crate::bench) fn row(
    text: &mut String,
    minute: Minute,
    planted: Planted<'_>,
    random: &mut StdRng,
) {
    let Fields {
        install,
        user,
        properties,
    } = fields(planted, random);
    let [model, oem, os, version, locale, country] = DEVICES[random.random_range(0..DEVICES.len())];
    let (at, ingress) = (minute.time(random), minute.time(random));
    let (message, session) = (uuid(random), uuid(random));
    let event = EVENTS[random.random_range(0..EVENTS.len())];
    let is_plain = matches!(planted, Planted::Nothing) && random.random_bool(0.3);
    let (kind, event, event_id, properties) = if is_plain {
        ("StartSessionLog", "None", "None", "None".to_owned())
    } else {
        let object = format!("{{{properties}}}");
        ("EventLog", event, message.as_str(), object)
    };
    let level = if os == "iOS" { "None" } else { "34" };
    let sdk = if os == "iOS" { "ios" } else { "android" };
    let patch = random.random_range(0..9_u8);
    let version_of_app = format!("4.12.{patch}");
    let build = random.random_range(2_000..9_000_u32).to_string();
    let sdk = format!("appcenter.{sdk}");
    // As documented, in that order; every value is a string, an absent one is `None`.
    let columns: [(&str, &str); 36] = [
        ("AppId", APP),
        ("Timestamp", &at),
        ("InstallId", &install),
        ("MessageType", kind),
        ("IngressTimestamp", &ingress),
        ("MessageId", &message),
        ("EventId", event_id),
        ("EventName", event),
        ("CorrelationId", &session),
        ("IsTestMessage", "False"),
        ("SdkVersion", "5.0.4"),
        ("Model", model),
        ("OemName", oem),
        ("OsName", os),
        ("OsVersion", version),
        ("OsApiLevel", level),
        ("Locale", locale),
        ("TimeZoneOffset", "PT1H"),
        ("ScreenSize", "1080x2400"),
        ("AppVersion", &version_of_app),
        ("AppBuild", &build),
        ("AppNamespace", "com.contoso.shop"),
        ("CarrierName", "None"),
        ("CarrierCountry", country),
        ("CountryCode", country),
        ("WrapperSdkVersion", "None"),
        ("WrapperSdkName", "None"),
        ("Properties", &properties),
        ("SessionId", &session),
        ("SdkName", &sdk),
        ("OsBuild", "None"),
        ("WrapperRuntimeVersion", "None"),
        ("LiveUpdateDeploymentKey", "None"),
        ("LiveUpdatePackageHash", "None"),
        ("LiveUpdateReleaseLabel", "None"),
        ("UserId", &user),
    ];
    for (at, (name, value)) in columns.into_iter().enumerate() {
        let before = if at == 0 { '{' } else { ',' };
        // Writing to a string cannot fail. `Properties` alone holds what JSON escapes.
        _ = match name {
            "Properties" => write!(text, r#"{before}"{name}":{}"#, json!(value)),
            _ => write!(text, r#"{before}"{name}":"{value}""#),
        };
    }
    text.push('}');
}

/// A crash or handled error as one object: some KiB of stack trace around the fields of a row.
pub(in crate::bench) fn report(
    minute: Minute,
    planted: Planted<'_>,
    random: &mut StdRng,
) -> String {
    let Fields {
        install,
        user,
        properties,
    } = fields(planted, random);
    let [model, oem, os, version, locale, country] = DEVICES[random.random_range(0..DEVICES.len())];
    let message = format!("the basket {} could not be merged", word(random, false));
    let mut stack = format!("com.contoso.shop.SyncError: {message}\n");
    let mut frames = Vec::new();
    for _ in 0..random.random_range(10..30_u8) {
        let code = FRAMES[random.random_range(0..FRAMES.len())];
        // Writing to a string cannot fail.
        _ = writeln!(stack, "\tat {code}");
        let address: u64 = random.random();
        frames.push(json!({
            "Address": format!("0x{address:016x}"), "Code": code, "AppCode": address.is_multiple_of(2),
            "Language": "Java", "Relevant": true, "MethodParams": "",
        }));
    }
    json!({
        "AppId": APP, "InstallId": install, "MessageId": uuid(random), "ErrorId": uuid(random),
        "ErrorGroupId": uuid(random), "MessageType": "HandledErrorLog",
        "Timestamp": minute.time(random), "IngressTimestamp": minute.time(random),
        "UserId": user, "Model": model, "OemName": oem, "OsName": os, "OsVersion": version,
        "Locale": locale, "CountryCode": country, "AppVersion": "4.12.3", "AppBuild": "5120",
        "AppNamespace": "com.contoso.shop", "StackTrace": stack,
        "Exception": { "Type": "SyncError", "Message": message, "Frames": frames },
        "Properties": format!("{{{properties}}}"),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Minute, Planted, report, row};
    use crate::bench::search::people::{Group, identifiers, sequence};

    #[test]
    fn records_are_json_and_hold_what_is_planted() {
        let mut random = sequence(1, "rows");
        for identifier in identifiers(1, Group::Planted, 100) {
            for form in 0..8 {
                let planted = Planted::One(&identifier, form);
                let mut text = String::new();
                row(&mut text, Minute(75), planted, &mut random);
                for text in [text, report(Minute(75), planted, &mut random)] {
                    let value: Value = serde_json::from_str(&text).expect("JSON");
                    let properties = value["Properties"].as_str().expect("a string");
                    let inner: Value = serde_json::from_str(properties).expect("JSON");
                    assert!(inner.is_object());
                }
            }
        }
    }
}
