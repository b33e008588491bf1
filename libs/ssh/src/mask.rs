//! Secrets of configurations, hidden behind fingerprints.
//!
//! First come the patterns of the driver, then a detector that knows no platform: words that announce a secret, forms that
//! hashes and encrypted passwords have, URLs with a password, and long random-looking values. It hides rather too much.

use std::cell::RefCell;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet, RegexSetBuilder};
use ring::hmac;
use toolkit::Secret;

use crate::{Driver, Structure};

/// Hides secrets behind fingerprints that are keyed, so that a value cannot be guessed from them but its change shows.
pub struct Masker(hmac::Key);

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(…)")
    }
}

/// A text without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The text; `<masked:1a2b3c4d>` stands for a secret.
    pub text: String,
    /// Secrets that were hidden.
    pub secrets: usize,
}

/// A pattern with `secret` for what is hidden.
fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "each is compiled by a test")]
    Regex::new(text).expect("a pattern written here")
}

/// What announces a secret: the word, perhaps a number that says how it is encrypted, and the value.
static ANNOUNCED: LazyLock<[Regex; 7]> = LazyLock::new(|| {
    [
        pattern(
            r#"(?i)\b(?:password|passwd|passphrase|wpa-passphrase|secret|secret-?(?:key|phrase|access-key)|client-secret|pre-shared-key|preshared-key|shared-secret|psk|psksecret|key-string|auth-key|authentication-key|auth-password|priv-password|private-key|api-key|apikey|access-token|auth-token|token|cipher-password|encrypted-password|plaintext-password|plain-text-password|simple-password|community-string|key-value|plaintext|ciphertext|md5|sha1|sha256|ENC)\b(?:[ \t]+(?:ascii-text|ascii|hex|set-key|hexadecimal|ENC|key-string|key-value|encrypted|unencrypted|ciphertext|plaintext|cipher|irreversible-cipher|simple|plain|sha512|pbkdf2|scrypt|md5|md-5|hash|type|value|key|(?:hmac|cmac)-[a-z0-9-]+|local|remote|level[ \t]+\d+|[0-9]{1,2}))*(?:[ \t]*[=:][ \t]*|[ \t]+)(?P<secret>"[^"]*"|'[^']*'|[^\s;,\]\}]+)"#,
        ),
        // In front of a name or number of another kind `key` means something else.
        pattern(r#"(?i)\bkey\d*[ \t]+(?:[0-9][ \t]+)?(?P<secret>"[^"]*"|[^\s;"]+)[ \t]*;?$"#),
        pattern(
            r#"(?i)\bsnmp[\w-]*[ \t](?:.*[ \t])?community[ \t]+(?:(?:read|write|cipher|simple|encrypted|clear)[ \t]+)*(?P<secret>"[^"]*"|'[^']*'|[^\s;]+)"#,
        ),
        pattern(
            r#"(?i)\bsnmp[\w-]*[ \t](?:.*[ \t])?version[ \t]+v?(?:1|2c)[ \t]+(?:(?:encrypted|clear|community)[ \t]+)*(?P<secret>"[^"]*"|'[^']*'|[^\s;]+)"#,
        ),
        pattern(r#"(?P<secret>"[^"]*"|[^\s;]+);?[ \t]*##[ \t]*SECRET-DATA"#),
        // What is sent to prove who one is.
        pattern(r#"(?i)\b(?:bearer|basic|digest)[ \t]+(?P<secret>[A-Za-z0-9._~+/-]{8,}=*)"#),
        pattern(r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"]*:(?P<secret>[^\s@"]+)@"#),
    ]
});

/// What a secret looks like wherever it stands.
static SHAPED: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    [
        // crypt(3) and the forms of Cisco (types 5, 8, 9), Junos ($9$), Arista and Linux.
        pattern(r#"(?P<secret>\$(?:1|2[aby]?|5|6|7|8|9|14|y|sha1|apr1)\$[^\s";,\]\}]{4,})"#),
        // Cisco's type 7, behind its number.
        pattern(r"\b7[ \t]+(?P<secret>[01][0-9][0-9A-Fa-f]{6,})\b"),
        // Long values of letters and digits, as keys in base64 or hexadecimal are.
        pattern(r"(?:^|[\s\x22'=:])(?P<secret>[A-Za-z0-9+/_-]{32,}={0,2})(?:$|[\s\x22';,])"),
        // A token of JSON (RFC 7519).
        pattern(r"(?P<secret>\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*)"),
        // A block of PEM on one line.
        pattern(r"-----BEGIN [A-Z0-9 ]+-----(?P<secret>.+?)-----END [A-Z0-9 ]+-----"),
    ]
});

/// Lines that one of the patterns finds something in, or that a block of PEM begins in.
#[derive(Debug)]
pub(crate) struct Suspects(Option<RegexSet>);

/// Those of a text of which the platform is not known.
static NO_DRIVER: LazyLock<Suspects> = LazyLock::new(|| Suspects::new(&[]));

impl Suspects {
    /// With the patterns of a driver.
    pub(crate) fn new(own: &[&Regex]) -> Self {
        let all = own.iter().copied().chain(&*ANNOUNCED).chain(&*SHAPED);
        let all: Vec<&str> = all.chain([&*BLOCK_BEGIN]).map(Regex::as_str).collect();
        let set = RegexSetBuilder::new(all).size_limit(MOST_PATTERNS).build();
        Self(set.ok())
    }

    /// Where the patterns are too many for one look, each line is suspect.
    fn is_match(&self, line: &str) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(line))
    }
}

static BLOCK_BEGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"-----BEGIN [A-Z0-9 ]+-----"));
static BLOCK_END: LazyLock<Regex> = LazyLock::new(|| pattern(r"-----END [A-Z0-9 ]+-----"));

/// Most memory of the patterns of one platform together, in bytes.
const MOST_PATTERNS: usize = 32 << 20;

/// What may stand where the pattern of a driver looks for a secret.
const NO_NAMES: [&str; 6] = [
    "md5",
    "source-interface",
    "use-vrf",
    "filter-vrf",
    "key-chain",
    "keychain",
];

/// What stands for a secret that the device encrypts anew each time it shows it: a fingerprint would change each time.
const UNSTABLE: &str = "<masked:unstable>";

/// Beginnings of names of algorithms, which are long and hold digits.
const ALGORITHMS: [&str; 7] = [
    "diffie-hellman-",
    "curve25519-",
    "ecdh-sha2-",
    "ecdsa-sha2-",
    "sntrup761x25519-",
    "hmac-sha",
    "rsa-sha2-",
];

/// What stands behind one of the words and is no secret.
const NO_SECRETS: [&str; 31] = [
    "key",
    "encrypted",
    "key-value",
    "chain",
    "manager",
    "operator",
    "set-key",
    "key-chain",
    "keychain",
    "key-string",
    "generate",
    "encryption",
    "prompt",
    "required",
    "policy",
    "minimum-length",
    "aging",
    "history",
    "lifetime",
    "zeroize",
    "rsa",
    "dsa",
    "ecdsa",
    "ed25519",
    "authentication",
    "mode",
    "mandatory",
    "recovery",
    "strength-check",
    "config-key",
    "any",
];

impl Masker {
    /// With the key of this installation.
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes()))
    }

    /// What stands for `secret`: the first 32 bits of its HMAC-SHA-256.
    #[must_use]
    pub fn fingerprint(&self, secret: &str) -> String {
        use std::fmt::Write as _;
        let tag = hmac::sign(&self.0, secret.trim_matches(['"', '\'']).as_bytes());
        let mut text = String::from("<masked:");
        for byte in &tag.as_ref()[..4] {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('>');
        text
    }

    /// `text` without the secrets that the platform's driver and the detector find.
    #[must_use]
    pub fn mask(&self, driver: Option<&Driver>, text: &str) -> Masked {
        self.masked(driver, text, &|_| {})
    }

    /// The secrets that the platform's driver and the detector find in `text`, the lines of a private key each for itself.
    #[must_use]
    pub(crate) fn secrets(driver: Option<&Driver>, text: &str) -> Vec<String> {
        let found = RefCell::default();
        let notice = |secret: &str| {
            // Neither the first line of a key nor what stands for another secret already.
            if !secret.starts_with("-----") && !secret.contains("<masked:") {
                Vec::push(&mut found.borrow_mut(), secret.to_owned());
            }
        };
        Self(hmac::Key::new(hmac::HMAC_SHA256, b"")).masked(driver, text, &notice);
        found.into_inner()
    }

    /// Tells `notice` each secret.
    fn masked(&self, driver: Option<&Driver>, text: &str, notice: &dyn Fn(&str)) -> Masked {
        let mut masked = String::with_capacity(text.len());
        let mut secrets = 0;
        // What it holds so far, and whether the device shows another text each time.
        let mut block: Option<(String, bool)> = None;
        let mut within = Within::default();
        let suspects = driver.map_or(&*NO_DRIVER, Driver::suspects);
        let shown = |(held, unstable): (String, bool)| match unstable {
            true => UNSTABLE.to_owned(),
            false => self.fingerprint(&held),
        };
        for line in text.lines() {
            if let Some((held, _)) = &mut block {
                held.push_str(line);
                if !BLOCK_END.is_match(line) {
                    notice(line.trim());
                }
                if let Some(end) = BLOCK_END.find(line) {
                    masked.extend(block.take().map(shown));
                    // A quote that the block stands in is closed behind it.
                    let rest = &line[end.end()..];
                    masked.push_str(if rest.len() <= 2 { rest } else { "" });
                    masked.push('\n');
                    secrets += 1;
                }
                continue;
            }
            if let Some(driver) = driver {
                within.enter(driver, line);
            }
            // Most lines have nothing to hide, and one look says so.
            if within.0.is_none() && !suspects.is_match(line) {
                masked.push_str(line);
                masked.push('\n');
                continue;
            }
            if let Some(begin) = BLOCK_BEGIN.find(line)
                && !BLOCK_END.is_match(line)
            {
                let (line, found) = self.line(driver, &within, &line[..begin.start()], notice);
                masked.push_str(&line);
                secrets += found;
                let unstable = driver.is_some_and(|driver| {
                    driver
                        .unstable
                        .iter()
                        .any(|regex| regex.is_match(begin.as_str()))
                });
                block = Some((String::new(), unstable));
                continue;
            }
            let (line, found) = self.line(driver, &within, line, notice);
            masked.push_str(&line);
            masked.push('\n');
            secrets += found;
        }
        // A block without an end hides the rest of the text rather than showing it.
        if let Some(held) = block {
            masked.push_str(&shown(held));
            masked.push('\n');
            secrets += 1;
        }
        Masked {
            text: masked,
            secrets,
        }
    }

    fn line(
        &self,
        driver: Option<&Driver>,
        within: &Within,
        line: &str,
        notice: &dyn Fn(&str),
    ) -> (String, usize) {
        let mut text = line.to_owned();
        let shown = |value: &str| {
            notice(value);
            self.fingerprint(value)
        };
        let unstable = |value: &str| {
            notice(value);
            UNSTABLE.to_owned()
        };
        let mut secrets = 0;
        let own = driver.map_or(&[][..], |driver| &driver.mask);
        for regex in driver.map_or(&[][..], |driver| &driver.unstable) {
            secrets += replaced(regex, &mut text, |_| true, unstable);
        }
        for regex in own {
            secrets += replaced(regex, &mut text, is_no_keyword, shown);
        }
        if let (Some(driver), Some((section, _))) = (driver, within.0) {
            let pattern = &driver.mask_within[section].pattern;
            secrets += replaced(pattern, &mut text, is_no_keyword, shown);
        }
        let [words, key, rest @ ..] = &*ANNOUNCED;
        secrets += replaced(words, &mut text, is_value, shown);
        let of_key = |value: &str| is_value(value) && !is_number_of_a_key(value);
        secrets += replaced(key, &mut text, of_key, shown);
        for regex in rest {
            secrets += replaced(regex, &mut text, is_value, shown);
        }
        let [hashes, type_7, long, token, pem] = &*SHAPED;
        secrets += replaced(pem, &mut text, |_| true, shown);
        secrets += replaced(hashes, &mut text, |_| true, shown);
        secrets += replaced(type_7, &mut text, |_| true, shown);
        secrets += replaced(token, &mut text, |_| true, shown);
        secrets += replaced(long, &mut text, looks_random, shown);
        (text, secrets)
    }
}

/// The section of the driver that a line stands in, and the indentation of its first line.
#[derive(Clone, Copy, Default)]
struct Within(Option<(usize, usize)>);

impl Within {
    /// Takes the next line.
    fn enter(&mut self, driver: &Driver, line: &str) {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let ended = |begin: usize| match driver.structure() {
            Structure::Paths => trimmed.starts_with('/'),
            _ => !trimmed.is_empty() && indent <= begin,
        };
        if self.0.is_none_or(|(_, begin)| ended(begin)) {
            let mut sections = driver.mask_within.iter();
            let found = sections.position(|within| within.section.is_match(line));
            self.0 = found.map(|number| (number, indent));
        }
    }
}

/// Puts what `shown` says in the place of each secret; answers how many there were.
fn replaced(
    regex: &Regex,
    text: &mut String,
    is_secret: impl Fn(&str) -> bool,
    shown: impl Fn(&str) -> String,
) -> usize {
    if !regex.is_match(text) {
        return 0;
    }
    let mut count = 0;
    let replaced = regex.replace_all(text, |found: &Captures<'_>| {
        let whole = &found[0];
        let Some(secret) = found.name("secret") else {
            return whole.to_owned();
        };
        let value = secret.as_str();
        if value.is_empty() || is_masked(value) || !is_secret(value) {
            return whole.to_owned();
        }
        count += 1;
        let start = found.get(0).map_or(0, |all| all.start());
        let (before, after) = (secret.start() - start, secret.end() - start);
        format!("{}{}{}", &whole[..before], shown(value), &whole[after..])
    });
    if count > 0 {
        *text = replaced.into_owned();
    }
    count
}

/// Whether `value` is what stands for a secret already, and nothing else.
fn is_masked(value: &str) -> bool {
    if value == UNSTABLE {
        return true;
    }
    let inner = value
        .strip_prefix("<masked:")
        .and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether what stands behind a word that announces a secret is one: no keyword, no short number of a key.
fn is_value(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let short_number = bare.len() <= 4 && bare.bytes().all(|byte| byte.is_ascii_digit());
    !bare.is_empty()
        && !short_number
        && bare != "{"
        && !is_algorithm(bare)
        && !NO_SECRETS.contains(&bare.to_ascii_lowercase().as_str())
}

/// Whether what stands where a driver's pattern looks for a secret is one, and no word that may stand there too.
fn is_no_keyword(value: &str) -> bool {
    !NO_NAMES.contains(&value) && !value.ends_with(UNSTABLE)
}

/// Whether it says which key, as `ntp server ADDRESS key 12345` does.
fn is_number_of_a_key(value: &str) -> bool {
    value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_algorithm(value: &str) -> bool {
    ALGORITHMS.iter().any(|name| value.starts_with(name))
}

/// Letters and digits mixed: no word, no list of words, no plain number.
fn looks_random(value: &str) -> bool {
    if is_algorithm(value) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    digits >= 3 && letters >= 3
        || (value.len() >= 40 && value.bytes().filter(u8::is_ascii_uppercase).count() >= 5)
}

#[cfg(test)]
mod tests;
