//! What the name of a field says about its value.

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// It names the user.
    User,
    /// It belongs to the schema of the export or of the SDK and never names a user.
    Schema,
    /// A short name that the SDK's logs use for other things than a user.
    Ambiguous,
    /// It holds what the developer put there, under names of the developer's choice.
    Properties,
    /// Anything else.
    Other,
}

/// The longest name that is told apart.
const MAX_NAME: usize = 32;

/// A field's name in lower case without anything but letters and digits: `Install-ID` and `install_id` are one name.
///
/// `None` when it is longer than any known name.
pub(super) fn normalise<'b>(name: &str, buffer: &'b mut [u8; MAX_NAME]) -> Option<&'b str> {
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(buffer.get(..length)?).ok()
}

/// Classifies one name.
pub(super) fn classify(name: &str) -> Field {
    let mut buffer = [0; MAX_NAME];
    let Some(name) = normalise(name, &mut buffer) else {
        return Field::Other;
    };
    match name {
        "userid" | "username" | "useremail" => Field::User,
        "properties" | "typedproperties" | "customproperties" => Field::Properties,
        // The rows of `logs.v1.data`, as Microsoft documents them.
        "appid" | "timestamp" | "installid" | "messagetype" | "ingresstimestamp" | "messageid"
        | "eventid" | "eventname" | "correlationid" | "istestmessage" | "sdkversion" | "model"
        | "oemname" | "osname" | "osversion" | "osapilevel" | "locale" | "timezoneoffset"
        | "screensize" | "appversion" | "appbuild" | "appnamespace" | "carriername"
        | "carriercountry" | "countrycode" | "wrappersdkversion" | "wrappersdkname"
        | "sessionid" | "sdkname" | "osbuild" | "wrapperruntimeversion"
        | "liveupdatedeploymentkey" | "liveupdatepackagehash" | "liveupdatereleaselabel"
        // Envelopes of crashes, errors and attachments, and the API's own objects.
        | "errorid" | "crashid" | "newcrashid" | "errorgroupid" | "crashgroupid"
        | "newcrashgroupid" | "attachmentid" | "groupid" | "reportid" | "country" | "countryname"
        | "language" | "devicename" | "ostype" | "devicemodel" | "version" | "build"
        // The SDK's own logs.
        | "sid" | "distributiongroupid" | "dataresidencyregion" | "processid" | "processname"
        | "parentprocessid" | "parentprocessname" | "errorthreadid" | "errorthreadname" | "fatal"
        | "applaunchtimestamp" | "architecture" | "primaryarchitectureid"
        | "architecturevariantid" | "osexceptiontype" | "osexceptioncode"
        | "osexceptionaddress" | "selectorregistervalue" | "sdk" | "os" => Field::Schema,
        "id" | "type" | "name" | "code" | "address" | "contenttype" | "filename" => {
            Field::Ambiguous
        }
        _ => Field::Other,
    }
}

/// What the place that a JSON pointer names is: its last name that is no index decides, and whether an earlier one holds properties.
///
/// Returns the field and whether the developer chose its name.
pub(super) fn classify_pointer(pointer: &str) -> (Field, bool) {
    let is_index = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = pointer
        .strip_prefix('/')
        .unwrap_or_default()
        .rsplit('/')
        .filter(|part| !is_index(part));
    let field = parts.next().map_or(Field::Other, classify);
    let is_custom = parts.any(|part| classify(part) == Field::Properties);
    (field, is_custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_spelling() {
        for (name, expected) in [
            ("UserId", Field::User),
            ("user_id", Field::User),
            ("USER-ID", Field::User),
            ("user_name", Field::User),
            ("userEmail", Field::User),
            ("userIds", Field::Other),
            ("AppBuild", Field::Schema),
            ("app_build", Field::Schema),
            ("Install-ID", Field::Schema),
            ("Properties", Field::Properties),
            ("id", Field::Ambiguous),
            ("", Field::Other),
            (
                "a name that is longer than any that is known here",
                Field::Other,
            ),
        ] {
            assert_eq!(classify(name), expected, "{name}");
        }
    }

    #[test]
    fn pointers_tell_the_field() {
        for (pointer, expected) in [
            ("", (Field::Other, false)),
            ("/UserId", (Field::User, false)),
            ("/UserId/0", (Field::User, false)),
            ("/device/model", (Field::Schema, false)),
            ("/Properties/Model", (Field::Schema, true)),
            ("/Properties/a/user_id", (Field::User, true)),
        ] {
            assert_eq!(classify_pointer(pointer), expected, "{pointer}");
        }
    }
}
