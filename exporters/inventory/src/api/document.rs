//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of and of the types that are read and written.

use access::edit::ChangeOutcome;
use access::openapi::{Document, Operation};
use inventory::document::{CredentialEntry, DeviceEntry, GroupEntry, SiteEntry};
use inventory::edit::Kind;
use serde_json::{Map, Value, json};

use super::edits::Changes;
use super::history::{Compared, RestoreRequest, VersionOf, Versions};
use super::lists::{self, Credentials, Devices, Groups, Page, SiteView, Sites};
use super::{Action, CALLS, Status, conflicts, remote};
use crate::formats::Format;
use crate::sd;

/// The document, as indented JSON with a final line feed.
pub(crate) fn document() -> String {
    let about = "Sites, groups, devices and names of credentials: to read, and to change for callers whom the configuration knows.";
    let mut document = Document::new("SOTP inventory", about);
    for call in CALLS {
        document.call(call, |operation| describe(operation, call.action));
    }
    access::trail::describe(&mut document);
    document.finish()
}

fn describe(call: &mut Operation<'_>, action: Action) {
    let anything = json!({"type": "object"});
    match action {
        Action::Discovery(_) => {
            let index = json!({"type": "integer", "minimum": 0, "maximum": 1023});
            call.query("shard", false, index, "Number of the shard, with of.")
                .count("of", 1_024, "Shards there are, with shard.")
                .answer::<Vec<sd::TargetGroup>>(200, "Targets with their labels.");
            unchanged(call).problems(&[400]);
        }
        Action::Blackbox | Action::Yace => {
            call.answer_in("application/yaml", 200, anything, "The file.");
        }
        Action::Inventory => {
            call.answer::<inventory::Document>(200, "All of it, as it is written.");
            unchanged(call);
        }
        Action::Status => {
            call.answer::<Status<'_>>(200, "How it stands.");
        }
        Action::Schema => {
            let about = "The JSON Schema.";
            call.answer_in("application/schema+json", 200, anything, about);
        }
        Action::OpenApi => {
            call.answer_in("application/json", 200, anything, "This document.");
        }
        Action::List(kind) => list(call, kind),
        Action::One(kind) => one(call, kind),
        Action::Add(kind) => {
            takes_entry(call.write(), kind);
            call.answer::<Changes<'_>>(200, "What would change, with validate.");
            entry(call, kind, 201, "Added.");
            call.problems(&[409, 415]);
        }
        Action::Replace(kind) => {
            takes_entry(call.write(), kind);
            changed(call, kind);
            entry(call, kind, 201, "Added.");
            let about = "*: there must be none of this name yet.";
            let star = json!({"type": "string", "enum": ["*"]});
            call.header("If-None-Match", star, about);
        }
        Action::Patch(kind) => {
            call.write()
                .takes::<Map<String, Value>>("application/merge-patch+json");
            changed(call, kind);
        }
        Action::Delete(_) => {
            call.write().empty(204, "Deleted.");
            call.answer::<Changes<'_>>(200, "What would change, with validate.");
            conditional(call).problems(&[404, 409]);
        }
        Action::Versions => {
            call.text("entry", "Only versions that changed it: devices/r1.")
                .text("before", "Only versions before this one.")
                .count("limit", 500, "Most versions.")
                .answer::<Versions>(200, "Versions, the newest first.");
            reads_history(call);
        }
        Action::Version => {
            call.answer::<VersionOf>(200, "What it changed, and the inventory as it was then.");
            reads_history(call);
        }
        Action::Diff => {
            let text = json!({"type": "string"});
            call.query("from", true, text, "A version.")
                .text("to", "A version; without it, the newest.")
                .answer::<Compared>(200, "The values that differ.");
            reads_history(call);
        }
        Action::Restore => {
            call.write().takes::<RestoreRequest>("application/json");
            call.answer::<Changes<'_>>(200, "What changed, or would with validate.")
                .problems(&[404, 409, 502]);
        }
        Action::Resolve => {
            call.write()
                .takes::<conflicts::ResolveRequest>("application/json");
            call.answer::<Changes<'_>>(200, "What changed, or would with validate.");
            conditional(call).problems(&[404, 409, 502]);
        }
        Action::Import => {
            formats(call.write().takes::<str>("text/plain"));
            call.answer::<Changes<'_>>(200, "What changed, or would with validate.");
            conditional(call).problems(&[409]);
        }
        Action::Export => {
            let about = "The list in that format.";
            formats(call).answer_in("*/*", 200, json!({}), about);
            call.problems(&[400]);
        }
        Action::Remote => {
            call.answer::<remote::Stated>(200, "The remote.")
                .problems(&[403, 409, 507]);
        }
        Action::Pull => {
            call.write()
                .answer::<Changes<'_>>(200, "What changed, or would with validate.")
                .problems(&[409, 502]);
        }
        Action::Push => {
            call.write()
                .answer::<remote::Pushed>(200, "Sent, or allowed with validate.")
                .problems(&[409, 502]);
        }
        Action::Conflicts => {
            call.answer::<conflicts::Conflicts>(200, "Commits of others that wait.")
                .problems(&[403, 409, 502, 503, 507]);
        }
        Action::Change => {
            call.answer::<ChangeOutcome>(200, "How it stands.")
                .problems(&[401, 403, 404, 507]);
        }
    }
}

fn unchanged<'c, 'd>(call: &'c mut Operation<'d>) -> &'c mut Operation<'d> {
    call.empty(304, "The caller has it, by If-None-Match.")
}

fn conditional<'c, 'd>(call: &'c mut Operation<'d>) -> &'c mut Operation<'d> {
    let about = "ETag of the last look. Without it, 428.";
    call.header("If-Match", json!({"type": "string"}), about)
        .problems(&[412, 428])
}

fn reads_history(call: &mut Operation<'_>) {
    call.problems(&[400, 403, 404, 409, 502, 503, 507]);
}

fn formats<'c, 'd>(call: &'c mut Operation<'d>) -> &'c mut Operation<'d> {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    call.word("format", true, &names, "The other system's format.")
}

fn changed(call: &mut Operation<'_>, kind: Kind) {
    entry(call, kind, 200, "Changed.");
    call.answer::<Changes<'_>>(200, "");
    conditional(call).problems(&[404, 409, 415]);
}

fn list(call: &mut Operation<'_>, kind: Kind) {
    for name in lists::parameters(kind) {
        let about = "Only entries with this value; of name, a part is enough.";
        call.text(name, about);
    }
    let about = "The name that the page begins after: next of the one before.";
    call.text("after", about);
    call.count("limit", lists::MOST, "Most entries of the page.");
    let about = "A page of them.";
    match kind {
        Kind::Device => call.answer::<Page<Devices<'_>>>(200, about),
        Kind::Site => call.answer::<Page<Sites<'_>>>(200, about),
        Kind::Group => call.answer::<Page<Groups<'_>>>(200, about),
        Kind::Credential => call.answer::<Page<Credentials<'_>>>(200, about),
    };
    unchanged(call).problems(&[400]);
}

fn one(call: &mut Operation<'_>, kind: Kind) {
    let about = "written: as it stands in the file; effective: with what it inherits.";
    call.word("form", false, &["effective", "written"], about);
    entry(call, kind, 200, "The entry.");
    match kind {
        Kind::Device => {
            call.answer::<inventory::Device>(200, "");
        }
        Kind::Site => {
            call.answer::<SiteView<'_>>(200, "");
        }
        Kind::Group | Kind::Credential => {}
    }
    unchanged(call).problems(&[400, 404]);
}

fn entry(call: &mut Operation<'_>, kind: Kind, status: u16, about: &str) {
    match kind {
        Kind::Site => call.answer::<SiteEntry>(status, about),
        Kind::Group => call.answer::<GroupEntry>(status, about),
        Kind::Device => call.answer::<DeviceEntry>(status, about),
        Kind::Credential => call.answer::<CredentialEntry>(status, about),
    };
}

fn takes_entry(call: &mut Operation<'_>, kind: Kind) {
    const JSON: &str = "application/json";
    match kind {
        Kind::Site => call.takes::<SiteEntry>(JSON),
        Kind::Group => call.takes::<GroupEntry>(JSON),
        Kind::Device => call.takes::<DeviceEntry>(JSON),
        Kind::Credential => call.takes::<CredentialEntry>(JSON),
    };
}
