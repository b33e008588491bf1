//! The identity token that Grafana forwards: a JWT of one shape only.
//!
//! The shape (RFC 7515 section 3.1, RFC 7519): `header.claims.signature`, each base64url without padding. The signature is ES256
//! (RFC 7518 section 3.4) and nothing else, so the header chooses no algorithm; it only names the key. Every check that costs nothing
//! comes before the one signature check, and no claim is read before it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Largest token in bytes. Grafana's have about one kilobyte; groups make them longer.
const LARGEST: usize = 8 * 1024;
/// How far the clocks of Grafana and this machine may be apart.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);
/// Longest time between `iat` and `exp`; Grafana signs for ten minutes.
const LONGEST: Duration = Duration::from_secs(3600);
/// Longest `sub` and `kid`, in bytes.
const LONGEST_NAME: usize = 256;
/// Most groups that are looked at.
const MOST_GROUPS: usize = 512;

/// Why a token is refused, one of a fixed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad(pub(crate) &'static str);

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// RFC 7515 section 4.1.11: extensions that must be understood; none is.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Raw {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    #[serde(rename = "type")]
    kind: String,
    role: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

/// RFC 7519 section 4.1.3: one string, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What a token must say beside being signed.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Without the slash at the end, which is compared away.
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// A token whose shape is right; nothing in it is believed yet.
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    claims: &'a str,
    signature: [u8; 64],
    kid: String,
}

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) groups: Vec<String>,
}

impl<'a> Unverified<'a> {
    /// Reads the shape and the header.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Bad> {
        const MALFORMED: Bad = Bad("token_malformed");
        if token.len() > LARGEST {
            return Err(Bad("token_too_large"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
        if claims.contains('.') {
            return Err(MALFORMED);
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| MALFORMED)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| MALFORMED)?;
        if header.alg != "ES256" {
            return Err(Bad("token_algorithm"));
        }
        // A media type, which has no case: Grafana writes `jwt`. Its access tokens are `at+jwt`.
        if !header.typ.eq_ignore_ascii_case("jwt") {
            return Err(Bad("token_type"));
        }
        if header.crit.is_some() {
            return Err(MALFORMED);
        }
        if header.kid.is_empty() || header.kid.len() > LONGEST_NAME {
            return Err(Bad("token_key"));
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
        let signature = signature.try_into().map_err(|_| Bad("token_signature"))?;
        Ok(Self {
            signed,
            claims,
            signature,
            kid: header.kid,
        })
    }

    /// The key that it says it was signed with.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Verifies the signature, then reads and checks the claims.
    pub(crate) fn verify(
        &self,
        key: &[u8; 65],
        expected: &Expected,
        now: SystemTime,
    ) -> Result<Claims, Bad> {
        let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
        ring::signature::UnparsedPublicKey::new(algorithm, key)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| Bad("token_signature"))?;
        let claims = URL_SAFE_NO_PAD
            .decode(self.claims)
            .map_err(|_| Bad("token_malformed"))?;
        Claims::read(&claims, expected, now)
    }
}

impl Claims {
    fn read(claims: &[u8], expected: &Expected, now: SystemTime) -> Result<Self, Bad> {
        let raw: Raw = serde_json::from_slice(claims).map_err(|_| Bad("token_claims"))?;
        raw.check(expected, now)
    }
}

/// Why any text is no identity token, and any bytes are no claims of one at this Unix time: what the network reaches, for fuzzing.
/// Nothing here is let in by it.
#[doc(hidden)]
#[must_use]
pub fn judged(token: &str, claims: &[u8], seconds: u32) -> [Option<&'static str>; 2] {
    let expected = Expected {
        issuer: "http://grafana".to_owned(),
        audience: "org:1".to_owned(),
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
    let shape = Unverified::parse(token).and_then(|token| token.verify(&[4; 65], &expected, now));
    let claims = Claims::read(claims, &expected, now);
    if let Ok(claims) = &claims {
        let tame = |text: &str| text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
        assert!(tame(&claims.subject) && tame(&claims.login) && tame(&claims.name));
        assert!(claims.subject.starts_with("user:") && claims.groups.len() <= MOST_GROUPS);
    }
    [shape.err().map(|bad| bad.0), claims.err().map(|bad| bad.0)]
}

impl Raw {
    fn check(self, expected: &Expected, now: SystemTime) -> Result<Claims, Bad> {
        if self.iss.strip_suffix('/').unwrap_or(&self.iss) != expected.issuer {
            return Err(Bad("token_issuer"));
        }
        let for_us = match &self.aud {
            Audience::One(one) => *one == expected.audience,
            Audience::Several(all) => all.contains(&expected.audience),
        };
        if !for_us {
            return Err(Bad("token_audience"));
        }
        let now = seconds(now);
        let (leeway, longest) = (
            LEEWAY.as_secs().cast_signed(),
            LONGEST.as_secs().cast_signed(),
        );
        if self.exp <= now.saturating_sub(leeway) {
            return Err(Bad("token_expired"));
        }
        let latest = now.saturating_add(leeway);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Bad("token_not_yet_valid"));
        }
        if self.exp.saturating_sub(self.iat) > longest || self.exp <= self.iat {
            return Err(Bad("token_lifetime"));
        }
        if self.kind != "user" || !self.sub.starts_with("user:") {
            return Err(Bad("token_not_of_a_user"));
        }
        let tame = |text: &str| text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
        if self.sub.len() <= "user:".len()
            || ![&self.sub, &self.username, &self.name]
                .into_iter()
                .all(|text| tame(text))
        {
            return Err(Bad("token_claims"));
        }
        let groups = self.groups.unwrap_or_default();
        if groups.len() > MOST_GROUPS {
            return Err(Bad("token_claims"));
        }
        Ok(Claims {
            subject: self.sub,
            login: self.username,
            name: self.name,
            role: self.role,
            groups,
        })
    }
}

/// Unix time in whole seconds.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    proptest! {
        /// Whatever comes from the network is refused or read, and nothing that this key did not sign is verified.
        #[test]
        fn any_text_is_no_token(text in any::<String>(), claims in any::<String>(), signature in any::<[u8; 64]>(), kid in ".{1,40}") {
            let header = serde_json::json!({"alg": "ES256", "typ": "jwt", "kid": kid}).to_string();
            let shaped = format!("{}.{}.{}", encode(&header), encode(&claims), URL_SAFE_NO_PAD.encode(signature));
            let expected = Expected { issuer: String::new(), audience: String::new() };
            for token in [text, shaped] {
                if let Ok(token) = Unverified::parse(&token) {
                    prop_assert!(token.verify(&[4; 65], &expected, SystemTime::now()).is_err());
                }
            }
        }
    }
}
