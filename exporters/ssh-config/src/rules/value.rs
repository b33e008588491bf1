//! What a value in a line has to be.

use std::net::IpAddr;

use super::check::Pattern;

/// What every value of a pattern has to be: all that is named has to hold.
#[derive(Debug)]
pub(crate) struct Check {
    /// With a group `value`.
    pub(super) pattern: Pattern,
    pub(crate) one_of: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) networks: Vec<(IpAddr, u8)>,
}

/// Networks as `ADDRESS/LENGTH`; `None` when one of them is none.
pub(super) fn networks(texts: &[String]) -> Option<Vec<(IpAddr, u8)>> {
    let one = |text: &String| {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u8 = length.parse().ok()?;
        (length <= bits(address).1).then_some((address, length))
    };
    texts.iter().map(one).collect()
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

fn holds((network, length): (IpAddr, u8), address: IpAddr) -> bool {
    let ((network, all), (address, own)) = (bits(network), bits(address));
    let shift = u32::from(all - length);
    all == own && network.checked_shr(shift).unwrap_or(0) == address.checked_shr(shift).unwrap_or(0)
}

impl Check {
    pub(super) fn is_empty(&self) -> bool {
        self.one_of.is_empty()
            && self.min.is_none()
            && self.max.is_none()
            && self.networks.is_empty()
    }

    /// What is wrong with `value`; `plain` fills names in.
    pub(super) fn wrong(&self, value: &str, plain: impl Fn(&str) -> String) -> Option<String> {
        let allowed: Vec<String> = self.one_of.iter().map(|text| plain(text)).collect();
        if !allowed.is_empty() && !allowed.iter().any(|own| own == value) {
            return Some(format!("{value}, expected one of {}", allowed.join(", ")));
        }
        if self.min.is_some() || self.max.is_some() {
            let Ok(number) = value.parse::<f64>() else {
                return Some(format!("{value}, expected a number"));
            };
            if let Some(min) = self.min.filter(|min| number < *min) {
                return Some(format!("{value}, expected at least {min}"));
            }
            if let Some(max) = self.max.filter(|max| number > *max) {
                return Some(format!("{value}, expected at most {max}"));
            }
        }
        if !self.networks.is_empty() {
            let Ok(address) = value.parse::<IpAddr>() else {
                return Some(format!("{value}, expected an address"));
            };
            if !self.networks.iter().any(|own| holds(*own, address)) {
                return Some(format!("{value}, which is in none of the networks"));
            }
        }
        None
    }
}
