//! `/api/v1/*`: the inventory as JSON, to read.

use http::StatusCode;
use inventory::{Device, Feed, Site};
use serde::Serialize;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::reply;

type View = fn(&Feed, &Request) -> Response;

/// Path, what it shows, and how.
pub(crate) const VIEWS: &[(&str, &str, View)] = &[
    (
        "/api/v1/inventory",
        "The inventory as it is written, for other services",
        inventory,
    ),
    ("/api/v1/devices", "Devices with what they inherit", devices),
    ("/api/v1/devices/{name}", "One device", device),
    ("/api/v1/sites", "Sites", sites),
    ("/api/v1/sites/{name}", "One site and its devices", site),
    (
        "/api/v1/status",
        "State of the inventory source, with its last error",
        status,
    ),
    (
        "/api/v1/schema",
        "JSON Schema of the inventory file",
        schema,
    ),
];

fn inventory(feed: &Feed, request: &Request) -> Response {
    let inventory = feed.current();
    reply::tagged(request, inventory.version(), || inventory.json().to_vec())
}

#[derive(Serialize)]
struct Devices<'a> {
    version: &'a str,
    devices: &'a [Device],
}

fn devices(feed: &Feed, request: &Request) -> Response {
    let inventory = feed.current();
    let list = Devices {
        version: inventory.version(),
        devices: inventory.devices(),
    };
    view(request, inventory.version(), &list)
}

fn device(feed: &Feed, request: &Request) -> Response {
    let inventory = feed.current();
    match request
        .param("name")
        .and_then(|name| inventory.device(name))
    {
        Some(device) => view(request, inventory.version(), device),
        None => reply::problem(
            StatusCode::NOT_FOUND,
            "no device has this name; /api/v1/devices lists them",
        ),
    }
}

#[derive(Serialize)]
struct Sites<'a> {
    version: &'a str,
    sites: &'a [Site],
}

fn sites(feed: &Feed, request: &Request) -> Response {
    let inventory = feed.current();
    let list = Sites {
        version: inventory.version(),
        sites: inventory.sites(),
    };
    view(request, inventory.version(), &list)
}

#[derive(Serialize)]
struct SiteView<'a> {
    #[serde(flatten)]
    site: &'a Site,
    devices: Vec<&'a str>,
}

fn site(feed: &Feed, request: &Request) -> Response {
    let inventory = feed.current();
    match request.param("name").and_then(|name| inventory.site(name)) {
        Some(site) => {
            let members = inventory
                .devices()
                .iter()
                .filter(|device| device.site == site.name);
            let devices = members.map(|device| &*device.name).collect();
            view(request, inventory.version(), &SiteView { site, devices })
        }
        None => reply::problem(
            StatusCode::NOT_FOUND,
            "no site has this name; /api/v1/sites lists them",
        ),
    }
}

/// JSON under the version of the inventory and of the program that writes it.
fn view(request: &Request, version: &str, value: &impl Serialize) -> Response {
    let tag = format!("{version}-{}", env!("CARGO_PKG_VERSION"));
    // Plain values with text keys: there is nothing in them that JSON cannot hold.
    reply::tagged(request, &tag, || {
        serde_json::to_vec(value).unwrap_or_default()
    })
}

#[derive(Serialize)]
struct Status<'a> {
    source: &'a str,
    up: bool,
    version: &'a str,
    devices: usize,
    sites: usize,
    last_success: Option<String>,
    last_error: Option<&'a str>,
}

fn status(feed: &Feed, _: &Request) -> Response {
    let (inventory, health) = (feed.current(), feed.health());
    let time = |time| {
        jiff::Timestamp::try_from(time)
            .ok()
            .map(|time| format!("{time:.3}"))
    };
    response::json(
        StatusCode::OK,
        &Status {
            source: &health.source,
            up: health.up,
            version: inventory.version(),
            devices: inventory.devices().len(),
            sites: inventory.sites().len(),
            last_success: health.last_success.and_then(time),
            last_error: health.last_error.as_deref(),
        },
    )
}

fn schema(_: &Feed, _: &Request) -> Response {
    response::new(
        StatusCode::OK,
        "application/schema+json",
        inventory::json_schema(),
    )
}
