# A line for each record of App Center's log blobs that holds an identifier as a whole value, in its Properties too.
# $wanted[0] is an object whose keys are the identifiers. `cargo xtask bench search` compares its speed.
$wanted[0] as $ids
| if type == "array" then .[] else . end
| select(any(
    .InstallId, .UserId, (.Properties | strings | fromjson? | .[]?);
    strings as $text | $ids[$text]))
| .MessageId
