//! Identity tokens: right ones, and every kind of wrong one.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

use super::Inner;
use super::login::Identity;

/// How long a token lasts, in seconds.
const TTL: i64 = 600;

/// A key that signs tokens.
#[derive(Debug, Clone)]
pub struct Signer {
    kid: String,
    pair: Arc<EcdsaKeyPair>,
}

impl Signer {
    /// A new key.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .ok()
            .context("no key can be made")?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
                .ok()
                .context("the key that was made cannot be read")?;
        Ok(Self {
            kid: format!("test-{:016x}-es256", fastrand::u64(..)),
            pair: Arc::new(pair),
        })
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The same key under another id.
    #[must_use]
    pub fn named(&self, kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Arc::clone(&self.pair),
        }
    }

    /// The public key: 0x04, x, y.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let (x, y) = self.public()[1..].split_at(32);
        json!({
            "use": "sig", "kty": "EC", "kid": self.kid, "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// ES256 of the text.
    #[must_use]
    pub fn sign(&self, text: &str) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        signature.map(|it| it.as_ref().to_vec()).unwrap_or_default()
    }
}

/// A token that is not signed yet. Header and claims may be changed at will.
#[derive(Debug, Clone, Default)]
pub struct Token {
    /// `alg`, `typ`, `kid`.
    pub header: Map<String, Value>,
    /// `iss`, `aud`, `sub`, `exp` and the others.
    pub claims: Map<String, Value>,
}

impl Token {
    /// Changes a member of the header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Changes a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Moves `iat`, `nbf` and `exp` by so many seconds.
    #[must_use]
    pub fn moved(mut self, seconds: i64) -> Self {
        for name in ["iat", "nbf", "exp"] {
            if let Some(time) = self.claims.get(name).and_then(Value::as_i64) {
                self.claims.insert(name.to_owned(), (time + seconds).into());
            }
        }
        self
    }

    /// Header and claims as they are signed.
    #[must_use]
    pub fn text(&self) -> String {
        let part = |map: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(Value::Object(map.clone()).to_string())
        };
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    /// The token with this signature.
    #[must_use]
    pub fn with(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.text(), URL_SAFE_NO_PAD.encode(signature))
    }

    /// The token, signed by this key whatever the header says.
    #[must_use]
    pub fn signed(&self, by: &Signer) -> String {
        self.with(&by.sign(&self.text()))
    }
}

/// The keys as they are published.
pub(super) fn jwks(signers: &[Signer]) -> Value {
    json!({ "keys": signers.iter().map(Signer::jwk).collect::<Vec<_>>() })
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Inner {
    /// What Grafana says of somebody; only a user has a name in it.
    pub(super) fn draft(&self, who: &Identity) -> Token {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
        let mut claims = map(json!({
            "iss": self.issuer, "aud": "org:1", "sub": format!("{}:{}", who.kind, who.number),
            "iat": now, "exp": now + TTL, "namespace": "default", "identifier": who.user.uid, "type": who.kind,
            "role": who.user.role.as_str(),
        }));
        if who.kind == "user" {
            claims.extend(map(json!({
                "authenticatedBy": "password", "email": format!("{}@example.net", who.user.login),
                "email_verified": false, "username": who.user.login, "name": who.user.name,
            })));
        }
        let kid = self.lock().signer().kid().to_owned();
        Token {
            header: map(json!({ "alg": "ES256", "typ": "jwt", "kid": kid })),
            claims,
        }
    }

    pub(super) fn sign(&self, who: &Identity) -> String {
        let signer = self.lock().signer();
        self.draft(who).signed(&signer)
    }
}
