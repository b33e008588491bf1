//! An interface as one table of calls, which its router and its OpenAPI 3.1 document are both made of.
//!
//! A service lists its calls as a `&'static` [`Call`] table, hands it to [`register`], and answers its document from [`Document`], with
//! the types that it reads and writes by their [`schemars::JsonSchema`].

mod document;
mod operation;

use std::future::Future;

use http::Method;
use toolkit::{App, Request, Response};

pub use document::Document;
pub use operation::Operation;

/// One call: method, path, which answer it is, and what it is for in a line.
#[derive(Debug, Clone)]
pub struct Call<A> {
    /// Method.
    pub method: Method,
    /// Path; `{name}` stands for any one segment.
    pub path: &'static str,
    /// What the service does then.
    pub action: A,
    /// What it is for.
    pub summary: &'static str,
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        #[doc = concat!("A call by ", stringify!($method), ".")]
        pub const fn $name(path: &'static str, action: A, summary: &'static str) -> Self {
            Self { method: Method::$method, path, action, summary }
        }
    )*};
}

impl<A> Call<A> {
    methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);
}

/// Registers every call of the table; `answer` gets what the table says of it.
pub fn register<A, F>(
    app: &mut App,
    calls: &'static [Call<A>],
    answer: impl Fn(A, Request) -> F + Clone + Send + Sync + 'static,
) where
    A: Copy + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    for call in calls {
        let (answer, action) = (answer.clone(), call.action);
        app.route(call.method.clone(), call.path, move |request| {
            answer(action, request)
        });
    }
}
