//! The drivers that are there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::{Driver, DriverError};

/// Files of the built-in drivers: a platform more is a file and a line here.
const BUILT_IN: [(&str, &str); 14] = [
    ("aoscx.yaml", include_str!("../drivers/aoscx.yaml")),
    ("aoss.yaml", include_str!("../drivers/aoss.yaml")),
    ("comware.yaml", include_str!("../drivers/comware.yaml")),
    ("eos.yaml", include_str!("../drivers/eos.yaml")),
    ("fortios.yaml", include_str!("../drivers/fortios.yaml")),
    ("frr.yaml", include_str!("../drivers/frr.yaml")),
    ("ios.yaml", include_str!("../drivers/ios.yaml")),
    ("iosxr.yaml", include_str!("../drivers/iosxr.yaml")),
    ("junos.yaml", include_str!("../drivers/junos.yaml")),
    ("linux.yaml", include_str!("../drivers/linux.yaml")),
    ("nxos.yaml", include_str!("../drivers/nxos.yaml")),
    ("routeros.yaml", include_str!("../drivers/routeros.yaml")),
    ("vrp.yaml", include_str!("../drivers/vrp.yaml")),
    ("vyos.yaml", include_str!("../drivers/vyos.yaml")),
];

/// Drivers by platform and alias.
#[derive(Clone, Debug, Default)]
pub struct Drivers(HashMap<String, Arc<Driver>>);

static ALL: LazyLock<Drivers> = LazyLock::new(|| {
    let mut drivers = Drivers::default();
    for (name, text) in BUILT_IN {
        // A test reads each of them, so that none is ever missing.
        if let Ok(driver) = Driver::parse(text, Path::new(name)) {
            drivers.add(driver);
        }
    }
    drivers
});

impl Drivers {
    /// Those that come with the program.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &ALL
    }

    /// These, and those in the `*.yaml` files of `folder`, which win over others of the same name.
    ///
    /// # Errors
    /// A file cannot be read or is no driver.
    pub fn with_folder(&self, folder: &Path) -> Result<Self, DriverError> {
        let mut drivers = self.clone();
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| DriverError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let entries = std::fs::read_dir(folder).map_err(|source| DriverError::Read {
            path: folder.to_owned(),
            source,
        })?;
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.extension().is_some_and(|end| end == "yaml") {
                drivers.add(Driver::parse(&read(&path)?, &path)?);
            }
        }
        Ok(drivers)
    }

    fn add(&mut self, driver: Driver) {
        let driver = Arc::new(driver);
        for name in
            std::iter::once(driver.platform()).chain(driver.aliases().iter().map(String::as_str))
        {
            self.0.insert(name.to_owned(), Arc::clone(&driver));
        }
    }

    /// The driver of a platform, by its name or an alias.
    #[must_use]
    pub fn get(&self, platform: &str) -> Option<Arc<Driver>> {
        self.0.get(platform).cloned()
    }

    /// Names of the platforms, sorted, without aliases.
    #[must_use]
    pub fn platforms(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.values().map(|driver| driver.platform()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Driver {
    /// The built-in driver of `platform`, by its name or one of its aliases.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn load(platform: &str) -> Result<Arc<Self>, DriverError> {
        Drivers::built_in()
            .get(platform)
            .ok_or_else(|| DriverError::Unknown(platform.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_that_comes_with_the_program_is_whole() {
        for (name, text) in BUILT_IN {
            let driver =
                Driver::parse(text, Path::new(name)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(format!("{}.yaml", driver.platform()), name);
        }
        assert_eq!(Drivers::built_in().platforms().len(), BUILT_IN.len());
    }

    #[test]
    fn driver_of_a_folder_wins_and_a_bad_one_is_named_with_its_place() {
        let dir = testkit::TempDir::new().unwrap();
        let (_, frr) = BUILT_IN
            .iter()
            .find(|(name, _)| *name == "frr.yaml")
            .unwrap();
        let frr = frr.replace("FRRouting", "Ours");
        dir.write("frr.yaml", frr).unwrap();
        let drivers = Drivers::built_in().with_folder(dir.path()).unwrap();
        assert!(drivers.get("frr").unwrap().title().contains("Ours"));
        dir.write("new.yaml", "platform: new\ntitle: New\ncollect: [show]\nprompt: {learn: '(', base: x}\ncomplete: {braces: true}\n").unwrap();
        let error = Drivers::built_in()
            .with_folder(dir.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("new.yaml:4:") && error.contains("prompt.learn"),
            "{error}"
        );
    }
}
