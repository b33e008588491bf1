//! Names of networks, as the configuration has them: which site, customer or provider an address belongs to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numbers;

/// Most networks of a configuration.
pub const MOST: usize = 10_000;
/// Longest name.
const LONGEST: usize = 64;

/// A network with its name; several may have the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The network.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Its name, such as that of the site.
    pub name: String,
}

/// The name of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(u16);

impl Network {
    /// Its number.
    pub(crate) fn number(self) -> u32 {
        self.0.into()
    }
}

/// All of them; an address belongs to the longest prefix that holds it.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    names: Vec<Arc<str>>,
    /// By length of the prefix, longest first: the networks of that length by their first address.
    four: Vec<(u32, HashMap<u32, Network, RandomState>)>,
    six: Vec<(u32, HashMap<u128, Network, RandomState>)>,
}

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of 1 to 64 characters")]
pub struct Wrong(pub usize);

fn mask_four(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

fn mask_six(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

impl Networks {
    /// Of the configuration's list.
    ///
    /// # Errors
    /// The place of the first one without a proper name.
    pub fn new(list: &[Named]) -> Result<Self, Wrong> {
        let mut all = Self::default();
        for (index, Named { prefix, name }) in list.iter().enumerate() {
            if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
                return Err(Wrong(index));
            }
            let known = all.names.iter().position(|known| **known == **name);
            let at = known.unwrap_or_else(|| {
                all.names.push(name.as_str().into());
                all.names.len() - 1
            });
            let network = Network(u16::try_from(at).map_err(|_| Wrong(index))?);
            let length = u32::from(prefix.prefix_len());
            match prefix.network() {
                IpAddr::V4(first) => place(&mut all.four, length).insert(first.into(), network),
                IpAddr::V6(first) => place(&mut all.six, length).insert(first.into(), network),
            };
        }
        all.four
            .sort_unstable_by_key(|(length, _)| std::cmp::Reverse(*length));
        all.six
            .sort_unstable_by_key(|(length, _)| std::cmp::Reverse(*length));
        Ok(all)
    }

    /// Takes over the numbers of the list before a reload; a name for which there is none any more is of no network.
    pub fn follow(&mut self, before: &Self) {
        let numbers = numbers::follow(&mut self.names, &before.names);
        let renamed = |network: &mut Network| {
            let number = numbers.get(usize::from(network.0)).copied().flatten();
            number.is_some_and(|number| {
                *network = Network(number);
                true
            })
        };
        for (_, all) in &mut self.four {
            all.retain(|_, network| renamed(network));
        }
        for (_, all) in &mut self.six {
            all.retain(|_, network| renamed(network));
        }
    }

    /// The network of an address.
    #[must_use]
    #[inline]
    pub fn of(&self, address: IpAddr) -> Option<Network> {
        // Most sites name none.
        (!self.names.is_empty()).then(|| self.longest(address))?
    }

    fn longest(&self, address: IpAddr) -> Option<Network> {
        match address {
            IpAddr::V4(address) => {
                let address = u32::from(address);
                let found = |(length, networks): &(u32, HashMap<u32, _, _>)| {
                    networks.get(&(address & mask_four(*length))).copied()
                };
                self.four.iter().find_map(found)
            }
            IpAddr::V6(address) => {
                let address = u128::from(address);
                let found = |(length, networks): &(u32, HashMap<u128, _, _>)| {
                    networks.get(&(address & mask_six(*length))).copied()
                };
                self.six.iter().find_map(found)
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, network: Network) -> &str {
        self.names
            .get(usize::from(network.0))
            .map_or("", |name| name)
    }
}

type ByLength<K> = Vec<(u32, HashMap<K, Network, RandomState>)>;

fn place<K>(all: &mut ByLength<K>, length: u32) -> &mut HashMap<K, Network, RandomState> {
    let at = all
        .iter()
        .position(|(known, _)| *known == length)
        .unwrap_or_else(|| {
            all.push((length, HashMap::default()));
            all.len() - 1
        });
    &mut all[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_longest_prefix_that_holds_it() {
        let list = [
            ("0.0.0.0/0", "internet"),
            ("198.18.0.0/15", "lab"),
            ("198.18.7.0/24", "ams"),
            ("198.19.7.0/24", "ams"),
            ("2001:db8::/32", "lab"),
            ("2001:db8:7::1/128", "ams"),
        ];
        let list: Vec<Named> = list
            .into_iter()
            .map(|(prefix, name)| Named {
                prefix: prefix.parse().unwrap(),
                name: name.to_owned(),
            })
            .collect();
        let networks = Networks::new(&list).unwrap();
        for (address, name) in [
            ("198.18.7.255", Some("ams")),
            ("198.18.8.0", Some("lab")),
            ("198.19.7.0", Some("ams")),
            ("192.0.2.1", Some("internet")),
            ("2001:db8:7::1", Some("ams")),
            ("2001:db8:7::2", Some("lab")),
            ("2001:db9::", None),
        ] {
            let found = networks.of(address.parse().unwrap());
            assert_eq!(
                found.map(|network| networks.name(network)),
                name,
                "{address}"
            );
        }
    }
}
