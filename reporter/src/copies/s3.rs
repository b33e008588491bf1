//! Putting objects into a bucket, with signature version 4 as Amazon describes it
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>); MinIO, Ceph and Garage take the same.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use toolkit::SecretFile;

use crate::bundle::sha256;

/// Longest part of a refusal that is told.
const DETAIL: usize = 300;
/// The headers that are signed, in the order of the alphabet.
const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";

/// A bucket, and who puts something into it.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) http: reqwest::Client,
    /// Address of the server without a slash at its end.
    pub(crate) url: String,
    pub(crate) bucket: String,
    /// Before the name of each object.
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: Arc<SecretFile>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// What is signed of a request.
struct Signed<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    host: &'a str,
    /// SHA-256 of the body.
    hash: &'a str,
    /// `20130524T000000Z`.
    time: &'a str,
    region: &'a str,
}

impl Signed<'_> {
    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", &self.time[..8], self.region)
    }

    fn signature(&self, secret: &str) -> String {
        let Self {
            method,
            path,
            query,
            host,
            hash,
            time,
            region,
        } = self;
        let request = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{time}\n\n{SIGNED}\n{hash}"
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{}\n{}",
            self.scope(),
            sha256(request.as_bytes())
        );
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), &time.as_bytes()[..8]);
        for part in [*region, "s3", "aws4_request", &text] {
            key = hmac(&key, part.as_bytes());
        }
        key.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(with(0x36)).chain_update(text);
    let outer = Sha256::new()
        .chain_update(with(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().to_vec()
}

impl Bucket {
    /// Puts an object; its name is of letters, digits and `.`, `_`, `-`, `/`.
    ///
    /// # Errors
    /// Why it is not there.
    pub(super) async fn put(&self, key: &str, content: Vec<u8>) -> Result<(), String> {
        let path = format!("/{}/{}{key}", self.bucket, self.prefix);
        let address: http::Uri = self.url.parse().map_err(|_| "its address".to_owned())?;
        let host = address.authority().map_or("", |host| host.as_str());
        let path = format!("{}{path}", address.path().trim_end_matches('/'));
        let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let hash = sha256(&content);
        let signed = Signed {
            method: "PUT",
            path: &path,
            query: "",
            host,
            hash: &hash,
            time: &time,
            region: &self.region,
        };
        let secret = self.secret.current();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={SIGNED}, Signature={}",
            self.access_key_id,
            signed.scope(),
            signed.signature(secret.reveal())
        );
        let server = self.url.trim_end_matches(address.path());
        let request = self
            .http
            .put(format!("{server}{path}"))
            .header("x-amz-content-sha256", &hash)
            .header("x-amz-date", &time)
            .header("authorization", authorization)
            .body(content);
        let told = |error: reqwest::Error| toolkit::chain(&error.without_url());
        let mut answer = request.send().await.map_err(told)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let chunk = answer.chunk().await.ok().flatten().unwrap_or_default();
        let detail: String = String::from_utf8_lossy(&chunk)
            .chars()
            .filter(|c| !c.is_control())
            .take(DETAIL)
            .collect();
        Err(format!("the server answered {status}: {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that Amazon gives for a request without a body.
    #[test]
    fn signature_is_that_of_the_published_example() {
        let signed = Signed {
            method: "GET",
            path: "/",
            query: "lifecycle=",
            host: "examplebucket.s3.amazonaws.com",
            hash: &sha256(b""),
            time: "20130524T000000Z",
            region: "us-east-1",
        };
        assert_eq!(
            signed.signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }
}
