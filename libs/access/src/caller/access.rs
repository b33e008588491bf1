//! From a request to a caller, and from a caller to a decision.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use http::header::{HOST, ORIGIN};
use toolkit::Request;
use toolkit::web::ClientCertificate;

use super::grafana::Grafana;
use super::policy::Policy;
use super::series::SERIES;
use super::{Caller, Denied, Object, Role, Verb, Via};

/// The checked policy, made by [`AccessConfig::check`](super::AccessConfig::check).
///
/// A request with `X-Grafana-Id` is judged by that token alone: neither a certificate nor a user of the web configuration stands in
/// for a token that is refused. A request with any other `X-Grafana-…` field came through Grafana, or says so, and is refused without
/// the token; what those fields say is never read.
#[derive(Debug)]
pub struct Access {
    pub(super) grafana: Option<Grafana>,
    pub(super) web_users: BTreeMap<String, Role>,
    pub(super) certificates: BTreeMap<String, Role>,
    pub(super) loopback: Option<Role>,
    pub(super) policy: Policy,
}

/// The field with the token.
const TOKEN: &str = "x-grafana-id";
/// How the fields begin that Grafana adds to what it forwards.
const GRAFANA: &str = "x-grafana-";

impl Access {
    /// Finds out who asks.
    ///
    /// # Errors
    /// Nobody that is known, or it cannot be found out now.
    pub async fn identify(&self, request: &Request) -> Result<Caller, Denied> {
        let caller = self.caller(request, SystemTime::now()).await;
        caller.inspect_err(|denied| refused(denied, request, None))
    }

    /// Finds out who asks, and lets them through when they may do `verb` to `object`.
    ///
    /// # Errors
    /// Not known, not allowed, or it cannot be found out now.
    pub async fn authorise(
        &self,
        request: &Request,
        verb: &Verb,
        object: &Object<'_>,
    ) -> Result<Caller, Denied> {
        let caller = self.identify(request).await?;
        let decision = self.permits(&caller, verb, object);
        self.decided(request, &caller, decision)?;
        Ok(caller)
    }

    /// Decides for a caller that is known already: for requests about several objects. What comes of them all goes once to
    /// [`decided`](Self::decided).
    ///
    /// # Errors
    /// Not allowed.
    pub fn permits(&self, caller: &Caller, verb: &Verb, object: &Object<'_>) -> Result<(), Denied> {
        self.policy.permits(caller.role, verb, object)
    }

    /// Decides whether a caller may do one of these verbs to anything at all: before it is known to what.
    ///
    /// # Errors
    /// They may do none of them, of which the first is named.
    pub fn may_any(&self, caller: &Caller, verbs: &[&Verb]) -> Result<(), Denied> {
        let mut refused = Ok(());
        for verb in verbs {
            match self.policy.may(caller.role, verb) {
                Ok(()) => return Ok(()),
                denied => refused = refused.and(denied),
            }
        }
        refused
    }

    /// Counts a request of `caller` as let through or refused; a refusal is logged.
    ///
    /// # Errors
    /// The refusal.
    pub fn decided(
        &self,
        request: &Request,
        caller: &Caller,
        decision: Result<(), Denied>,
    ) -> Result<(), Denied> {
        match &decision {
            Ok(()) => SERIES.allowed(caller.via, caller.role),
            Err(denied) => refused(denied, request, Some(caller)),
        }
        decision
    }

    pub(crate) async fn caller(
        &self,
        request: &Request,
        now: SystemTime,
    ) -> Result<Caller, Denied> {
        let mut tokens = request.headers().get_all(TOKEN).into_iter();
        if let Some(token) = tokens.next() {
            let Some(grafana) = &self.grafana else {
                return Err(Denied::proxied("token_not_configured"));
            };
            let token = token.to_str().ok().filter(|_| tokens.next().is_none());
            let token = token.ok_or(Denied::proxied("token_malformed"))?;
            return grafana.caller(request, token, now).await;
        }
        if request
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with(GRAFANA))
        {
            return Err(Denied::proxied("token_missing"));
        }
        let credentials = Credentials {
            certificate: request.client_certificate(),
            user: request.user(),
        };
        let caller = match (self.own(&credentials), self.loopback) {
            (Ok(caller), _) => caller,
            (Err(denied), Some(role)) if denied.reason() == "no_credentials" => {
                if !is_local(request) {
                    return Err(denied);
                }
                Caller {
                    subject: "loopback".to_owned(),
                    display: "loopback".to_owned(),
                    role,
                    via: Via::Loopback,
                }
            }
            (Err(denied), _) => return Err(denied),
        };
        if is_cross_site(request) {
            return Err(Denied::direct("cross_site"));
        }
        Ok(caller)
    }

    /// A caller that this server itself let in. A certificate that has a role comes before a user that has one.
    fn own(&self, credentials: &Credentials<'_>) -> Result<Caller, Denied> {
        let certificate = credentials.certificate.and_then(|it| {
            Some((
                it.subject(),
                self.certificate_role(it)?,
                Via::ClientCertificate,
            ))
        });
        let user = credentials
            .user
            .and_then(|it| Some((it, *self.web_users.get(it)?, Via::WebUser)));
        let (subject, role, via) = certificate.or(user).ok_or_else(|| {
            Denied::direct(match (credentials.certificate, credentials.user) {
                (_, Some(_)) => "user_not_mapped",
                (Some(_), None) => "certificate_not_mapped",
                (None, None) => "no_credentials",
            })
        })?;
        let display: String = subject.chars().take(64).collect();
        Ok(Caller {
            subject: subject.to_owned(),
            display,
            role,
            via,
        })
    }

    /// The subject decides alone; else the weakest role of the alternative names.
    fn certificate_role(&self, certificate: &ClientCertificate) -> Option<Role> {
        let by_name = || {
            let names = certificate.names().iter();
            names.filter_map(|name| self.certificates.get(name)).min()
        };
        self.certificates
            .get(certificate.subject())
            .or_else(by_name)
            .copied()
    }
}

/// Whether a program of this machine asks for itself, and nobody says that it hands on what another one asked.
fn is_local(request: &Request) -> bool {
    const HANDED_ON: [&str; 5] = [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
    ];
    let host = request.header("host");
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str));
    let handed_on = HANDED_ON.iter().any(|name| request.header(name).is_some());
    !handed_on && is_loopback(request.peer(), host.unwrap_or_default())
}

/// Whether a connection from `peer` comes from a loopback address and asks for such an address or `localhost`: a page whose name was made to
/// lead here asks for its own.
fn is_loopback(peer: &str, host: &str) -> bool {
    let address = peer.parse().map(|peer: SocketAddr| peer.ip());
    let from = address.or_else(|_| peer.parse::<IpAddr>());
    let Ok(asked) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = asked.host().trim_matches(['[', ']']);
    let address = name.parse::<IpAddr>();
    let here = |address: IpAddr| address.to_canonical().is_loopback();
    from.is_ok_and(here) && (name == "localhost" || address.is_ok_and(here))
}

/// What this server itself verified.
struct Credentials<'a> {
    certificate: Option<&'a ClientCertificate>,
    user: Option<&'a str>,
}

/// Whether a page of another site made a browser send this. A browser adds certificate and password by itself, whoever asks; the
/// services have no pages that call them, so nothing is lost.
fn is_cross_site(request: &Request) -> bool {
    let site = request.header("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = request.headers().get(ORIGIN) else {
        return false;
    };
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str));
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    origin.is_none_or(|(_, origin)| Some(origin) != host)
}

fn refused(denied: &Denied, request: &Request, caller: Option<&Caller>) {
    SERIES.denied(denied);
    let caller = caller.map(|caller| caller.subject.as_str());
    tracing::info!(
        reason = denied.reason(),
        caller,
        peer = request.peer(),
        method = %request.method(),
        path = request.path(),
        "caller refused"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_that_asks_for_itself_is_loopback() {
        for (peer, host, local) in [
            ("127.0.0.1:40000", "127.0.0.1:19870", true),
            ("127.0.0.1:40000", "localhost:19870", true),
            ("[::1]:40000", "[::1]:19870", true),
            ("[::ffff:127.0.0.1]:40000", "localhost", true),
            ("192.0.2.7:40000", "127.0.0.1:19870", false),
            ("127.0.0.1:40000", "evil.example:19870", false),
            ("127.0.0.1:40000", "localhost.evil.example", false),
            ("127.0.0.1:40000", "192.0.2.7:19870", false),
            ("127.0.0.1:40000", "", false),
            ("unix", "localhost", false),
            ("", "localhost", false),
        ] {
            assert_eq!(is_loopback(peer, host), local, "{peer} {host}");
        }
    }
}
