//! `users_get`, `apps_get`.

use serde_json::json;

use super::{Call, ErrorShape, Failure, Operation, Reply, operation};
use crate::ids;
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "users_get",
        method: "GET",
        template: "/v0.1/user",
        shape: ErrorShape::Nested,
        run: user,
    },
    operation!("apps_get", "GET", "", Nested, app),
];

fn user(state: &mut State, _: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "id": ids::uuid(&state.world.seed, "user", "token"),
        "display_name": "DSR service",
        "email": "dsr-service@contoso.example",
        "name": "dsr-service",
        "avatar_url": "",
        "can_change_password": true,
        "permissions": ["manager"],
        "origin": "appcenter",
    })))
}

fn app(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let app = &state.world.apps[call.app];
    let owner = &state.world.owner;
    Ok(Reply::json(&json!({
        "id": app.id,
        "app_secret": app.secret,
        "description": "",
        "display_name": app.name,
        "name": app.name,
        "os": app.os,
        "platform": app.platform,
        "origin": "appcenter",
        "release_type": "",
        "created_at": "2019-04-02T09:15:27.000Z",
        "updated_at": "2024-01-15T10:02:11.000Z",
        "member_permissions": ["manager"],
        "owner": {
            "id": ids::uuid(&state.world.seed, "owner", owner),
            "display_name": owner,
            "name": owner,
            "type": "org",
        },
    })))
}
