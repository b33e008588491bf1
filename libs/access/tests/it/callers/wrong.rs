//! Tokens that no Grafana signed, or not for this caller, or not for now.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use testkit::grafana::{Signer, Token};

/// Every way to make a right token wrong, and the reason for which it must be refused.
pub(super) fn wrong(
    right: &Token,
    signer: &Signer,
    other: &Signer,
) -> Vec<(&'static str, String, &'static str)> {
    let sign = |token: Token| token.signed(signer);
    let hmac = |secret: &[u8]| {
        let token = right.clone().header("alg", "HS256");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        token.with(ring::hmac::sign(&key, token.text().as_bytes()).as_ref())
    };
    let good = sign(right.clone());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut flipped = signature.clone();
    flipped[40] ^= 1;
    let promoted = right
        .clone()
        .claim("role", "Admin")
        .claim("username", "root");
    let (now, hour) = (right.claims["iat"].as_i64().unwrap(), 3600);
    let long = "x".repeat(9000);
    let mut kinds = vec![
        (
            "forged by another key",
            right.signed(other),
            "token_signature",
        ),
        (
            "forged, with the key in the header",
            right.clone().header("jwk", other.jwk()).signed(other),
            "token_signature",
        ),
        (
            "claims changed after signing",
            promoted.with(&signature),
            "token_signature",
        ),
        (
            "a flipped bit in the signature",
            right.with(&flipped),
            "token_signature",
        ),
        ("no signature", format!("{signed}."), "token_signature"),
        (
            "a signature of zeros",
            right.with(&[0; 64]),
            "token_signature",
        ),
        (
            "a signature cut short",
            right.with(&signature[..63]),
            "token_signature",
        ),
        ("expired", sign(right.clone().moved(-700)), "token_expired"),
        (
            "long expired",
            sign(right.clone().moved(-10 * 365 * 24 * hour)),
            "token_expired",
        ),
        (
            "not yet valid",
            sign(right.clone().moved(120)),
            "token_not_yet_valid",
        ),
        (
            "not before later",
            sign(right.clone().claim("nbf", now + 120)),
            "token_not_yet_valid",
        ),
        (
            "without end",
            sign(right.clone().without("exp")),
            "token_claims",
        ),
        (
            "without beginning",
            sign(right.clone().without("iat")),
            "token_claims",
        ),
        (
            "an end that is text",
            sign(right.clone().claim("exp", "never")),
            "token_claims",
        ),
        (
            "valid for years",
            sign(right.clone().claim("exp", now + 1000 * 24 * hour)),
            "token_lifetime",
        ),
        (
            "ends before it begins",
            sign(right.clone().claim("iat", now + 10).claim("exp", now + 5)),
            "token_lifetime",
        ),
        (
            "wrong audience",
            sign(right.clone().claim("aud", serde_json::json!(["org:2"]))),
            "token_audience",
        ),
        (
            "wrong single audience",
            sign(right.clone().claim("aud", "org:11")),
            "token_audience",
        ),
        (
            "no audience",
            sign(right.clone().claim("aud", serde_json::json!([]))),
            "token_audience",
        ),
        (
            "without audience",
            sign(right.clone().without("aud")),
            "token_claims",
        ),
        (
            "wrong issuer",
            sign(right.clone().claim("iss", "http://other.example.net/")),
            "token_issuer",
        ),
        (
            "issuer with something behind",
            sign(
                right
                    .clone()
                    .claim("iss", format!("{}x", right.claims["iss"].as_str().unwrap())),
            ),
            "token_issuer",
        ),
        (
            "alg none",
            right.clone().header("alg", "none").with(b""),
            "token_algorithm",
        ),
        (
            "alg None, signed",
            sign(right.clone().header("alg", "None")),
            "token_algorithm",
        ),
        (
            "alg es256 in small letters",
            sign(right.clone().header("alg", "es256")),
            "token_algorithm",
        ),
        (
            "alg ES384",
            sign(right.clone().header("alg", "ES384")),
            "token_algorithm",
        ),
        (
            "HS256 with the public point",
            hmac(signer.public()),
            "token_algorithm",
        ),
        (
            "HS256 with the public JWK",
            hmac(signer.jwk().to_string().as_bytes()),
            "token_algorithm",
        ),
        (
            "huge",
            sign(right.clone().claim("name", long.as_str())),
            "token_too_large",
        ),
        ("huge and no token", long, "token_too_large"),
        (
            "unknown key",
            right.clone().header("kid", "nobody").signed(other),
            "token_key",
        ),
        (
            "unknown key, right signature",
            sign(right.clone().header("kid", "nobody")),
            "token_key",
        ),
        (
            "key id that is a path",
            sign(right.clone().header("kid", "../../etc/passwd")),
            "token_key",
        ),
        (
            "empty key id",
            sign(right.clone().header("kid", "")),
            "token_key",
        ),
        (
            "access token",
            sign(right.clone().header("typ", "at+jwt")),
            "token_type",
        ),
        (
            "critical extension",
            sign(right.clone().header("crit", serde_json::json!(["b64"]))),
            "token_malformed",
        ),
        (
            "service account",
            sign(
                right
                    .clone()
                    .claim("type", "service-account")
                    .claim("sub", "service-account:7"),
            ),
            "token_not_of_a_user",
        ),
        (
            "anonymous",
            sign(
                right
                    .clone()
                    .claim("type", "anonymous")
                    .claim("sub", "anonymous:0"),
            ),
            "token_not_of_a_user",
        ),
        (
            "user with the subject of an API key",
            sign(right.clone().claim("sub", "api-key:1")),
            "token_not_of_a_user",
        ),
        (
            "nobody",
            sign(right.clone().claim("sub", "user:")),
            "token_claims",
        ),
        (
            "control character in the login",
            sign(right.clone().claim("username", "a\nb")),
            "token_claims",
        ),
        (
            "without role",
            sign(right.clone().without("role")),
            "token_claims",
        ),
        (
            "role that is not known",
            sign(right.clone().claim("role", "Grafana Admin")),
            "role_not_mapped",
        ),
        ("empty", String::new(), "token_malformed"),
        ("two parts", signed.to_owned(), "token_malformed"),
        ("four parts", format!("{good}.x"), "token_malformed"),
        ("padded", format!("{good}=="), "token_malformed"),
        (
            "with a scheme before it",
            format!("Bearer {good}"),
            "token_malformed",
        ),
    ];
    for (kind, member) in [("no typ", "typ"), ("no kid", "kid"), ("no alg", "alg")] {
        let mut token = right.clone();
        token.header.remove(member);
        kinds.push((kind, token.signed(signer), "token_malformed"));
    }
    kinds
}
