//! Attachments of a report in the current API.

use serde_json::{Value, json};

use super::errors::report;
use super::{Call, Failure, Operation, Reply, operation};
use crate::ids::iso;
use crate::render;
use crate::state::State;
use crate::world::Attachment;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_ErrorAttachments",
        "GET",
        "/errors/{errorId}/attachments",
        Nested,
        list
    ),
    operation!(
        "Errors_ErrorAttachmentText",
        "GET",
        "/errors/{errorId}/attachments/{attachmentId}/text",
        Nested,
        text
    ),
    operation!(
        "Errors_ErrorAttachmentLocation",
        "GET",
        "/errors/{errorId}/attachments/{attachmentId}/location",
        Nested,
        location
    ),
];

/// The attachment of a report that has this ID.
pub(super) fn attachment<'a>(
    state: &'a State,
    report: usize,
    id: &str,
) -> Result<&'a Attachment, Failure> {
    state.world.reports[report]
        .attachments
        .iter()
        .find(|it| it.id.to_string().eq_ignore_ascii_case(id))
        .ok_or_else(|| Failure::not_found("The attachment was not found."))
}

/// Where an attachment can be read without the token.
pub(super) fn attachment_url(state: &State, report: usize, attachment: &Attachment) -> String {
    let guid = state.world.reports[report].guid;
    render::signed_url(state, &format!("/attachments/{guid}/{}", attachment.id))
}

fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let it = &state.world.reports[report];
    let list: Vec<Value> = it
        .attachments
        .iter()
        .map(|attachment| {
            json!({
                "appId": state.world.apps[call.app].id,
                "attachmentId": attachment.id,
                "crashId": it.error_id,
                "blobLocation": format!("attachments/{}/{}", it.guid, attachment.id),
                "contentType": attachment.content_type,
                "fileName": attachment.file_name,
                "createdTime": iso(it.ingress),
                "size": attachment.bytes.len(),
            })
        })
        .collect();
    Ok(Reply::json(&json!(list)))
}

fn text(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let attachment = attachment(state, report, call.param("attachmentId"))?;
    let content = String::from_utf8_lossy(&attachment.bytes);
    Ok(Reply::json(&json!({ "content": content })))
}

fn location(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let attachment = attachment(state, report, call.param("attachmentId"))?;
    let uri = attachment_url(state, report, attachment);
    Ok(Reply::json(&json!({ "uri": uri })))
}
