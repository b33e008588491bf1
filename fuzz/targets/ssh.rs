//! Any bytes as what a device writes behind a command, in pieces; what they come to is normalised and masked.

use ::ssh::{Driver, Masker};
use toolkit::Secret;

crate::target!(|bytes: &[u8]| {
    let masker = Masker::new(&Secret::new("key"));
    for platform in ["aoss", "fortios", "frr", "ios", "junos", "routeros"] {
        let Ok(driver) = Driver::load(platform) else {
            return;
        };
        let pieces: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == 0).collect();
        if let Some(lines) = ::ssh::answered(&driver, &pieces) {
            let text = driver.normalise(&lines);
            let once = masker.mask(Some(&driver), &text);
            assert!(once.text.lines().count() <= text.lines().count());
        }
    }
});
