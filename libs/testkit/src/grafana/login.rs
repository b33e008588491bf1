//! Users, their basic roles and their sessions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE as COOKIES, HOST, HeaderValue, ORIGIN, SET_COOKIE};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Inner, State, Whole, answer};

/// Name of the session cookie.
pub(super) const COOKIE: &str = "grafana_session";

/// Basic roles, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basic {
    /// Nothing.
    None,
    /// Looks.
    Viewer,
    /// Changes dashboards.
    Editor,
    /// Changes everything in the organisation.
    Admin,
}

impl Basic {
    /// Every role, weakest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Viewer, Self::Editor, Self::Admin];

    /// Its name in tokens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What is typed to log in; the password is the same.
    pub login: String,
    /// `uid`, the `identifier` of tokens; their subject is made of the number in Grafana's database.
    pub uid: String,
    /// Full name.
    pub name: String,
    /// Basic role at first.
    pub role: Basic,
}

impl User {
    /// A user whose uid and name follow from the login.
    #[must_use]
    pub fn new(login: &str, role: Basic) -> Self {
        Self {
            login: login.to_owned(),
            uid: format!("uid-{login}"),
            name: format!("Name of {login}"),
            role,
        }
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// `user` or `anonymous`.
    pub(super) kind: &'static str,
    /// In Grafana's database, from 1; 0 for nobody.
    pub(super) number: usize,
    pub(super) user: User,
}

impl Identity {
    /// Unsigned: `/api/user`, and the field `X-Grafana-Context`.
    pub(super) fn context(&self) -> Value {
        json!({
            "OrgID": 1, "OrgRole": self.user.role.as_str(), "Login": self.user.login, "Name": self.user.name,
            "IsAnonymous": self.kind == "anonymous",
        })
    }
}

impl State {
    pub(super) fn log_in(&mut self, login: &str) -> String {
        let session = format!("{:032x}", fastrand::u128(..));
        self.sessions.insert(session.clone(), login.to_owned());
        session
    }
}

impl Inner {
    /// The user with the role of now.
    pub(super) fn user(&self, login: &str) -> Option<Identity> {
        let at = self
            .setup
            .users
            .iter()
            .position(|user| user.login == login)?;
        let known = &self.setup.users[at];
        let role = self.lock().roles.get(login).copied().unwrap_or(known.role);
        Some(Identity {
            kind: "user",
            number: at + 1,
            user: User {
                role,
                ..known.clone()
            },
        })
    }

    /// Session, then password, then whoever may come without.
    pub(super) fn caller(&self, request: &Whole) -> Option<Identity> {
        let session =
            cookie(request).and_then(|session| self.lock().sessions.get(&session).cloned());
        if let Some(login) = session {
            return self.user(&login);
        }
        if let Some((login, password)) = basic(request) {
            return self.user(&login).filter(|_| password == login);
        }
        self.setup.anonymous.map(|role| Identity {
            kind: "anonymous",
            number: 0,
            user: User {
                login: String::new(),
                uid: String::new(),
                name: "Anonymous".to_owned(),
                role,
            },
        })
    }

    pub(super) fn log_in(&self, request: &Whole) -> Answer {
        let typed: Option<Value> = serde_json::from_slice(request.body()).ok();
        let text = |key: &str| typed.as_ref()?.get(key)?.as_str();
        let login = text("user").filter(|login| text("password") == Some(login));
        let Some(user) = login.and_then(|login| self.user(login)) else {
            return answer::message(StatusCode::UNAUTHORIZED, "Invalid username or password");
        };
        let session = self.lock().log_in(&user.user.login);
        let mut answer = answer::message(StatusCode::OK, "Logged in");
        let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(SET_COOKIE, cookie);
        }
        answer
    }
}

fn cookie(request: &Whole) -> Option<String> {
    let cookies = request.headers().get_all(COOKIES).into_iter();
    cookies
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .map(str::to_owned)
}

fn basic(request: &Whole) -> Option<(String, String)> {
    let field = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(field.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (login, password) = text.split_once(':')?;
    Some((login.to_owned(), password.to_owned()))
}

/// With a session, what changes something must not come from a page of another host.
pub(super) fn same_origin(request: &Whole) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || cookie(request).is_none() {
        return true;
    }
    let host = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    let field = |name| request.headers().get(name)?.to_str().ok();
    let Some(origin) = field(ORIGIN) else {
        return true;
    };
    let origin = origin.split_once("://").map(|(_, rest)| host(rest));
    origin.is_some() && origin == field(HOST).map(host)
}
