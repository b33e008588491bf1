//! How a document is read.

use serde_saphyr::options::NonFiniteFloatPolicy;

/// What a document may hold, and how its values are taken.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Messages repeat wrong values. Not where a value may be a secret.
    pub quotes: bool,
    /// Values are taken as Go's readers take them: `yes` and `on` are booleans, `'5'` and `0x5` are numbers, `true` may be text, and a key
    /// without a value is an absent one.
    pub lenient: bool,
    /// Whole numbers that begin with `0` are octal, as YAML 1.1 has it.
    pub octal: bool,
    /// Most bytes of text in all values.
    pub bytes: usize,
    /// Most values, those that aliases repeat included.
    pub values: usize,
    /// Most values that aliases repeat.
    pub repeated: usize,
    /// Most aliases, and most merge keys.
    pub aliases: usize,
    /// Deepest nesting.
    pub depth: usize,
}

impl Rules {
    /// For configuration files: lenient as their users are used to, and silent about values.
    pub const CONFIGURATION: Self = Self {
        quotes: false,
        lenient: true,
        octal: false,
        bytes: 64 << 20,
        values: 1_000_000,
        repeated: 200_000,
        aliases: 200_000,
        depth: 32,
    };

    pub(crate) fn options(&self) -> serde_saphyr::Options {
        serde_saphyr::options! {
            with_snippet: false,
            // Words such as `yes` are told from booleans by the type that is asked for.
            strict_booleans: true,
            reject_unsupported_tags: true,
            legacy_octal_numbers: self.octal,
            leading_zero_numbers_as_strings: !self.octal,
            underscored_numbers_as_strings: !self.lenient,
            non_finite_float_policy: NonFiniteFloatPolicy::AsString,
            budget: serde_saphyr::budget! {
                max_events: 2 * self.values,
                max_nodes: self.values,
                max_documents: 1,
                max_depth: self.depth,
                flow_nesting_limit: self.depth,
                max_aliases: self.aliases,
                max_merge_keys: self.aliases,
                max_recorded_anchor_events: self.repeated,
                // One set of values that every entry takes is no attack; what it grows to is bounded above.
                enforce_alias_anchor_ratio: false,
                max_total_scalar_bytes: self.bytes,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: self.repeated,
                max_replay_stack_depth: self.depth,
                max_alias_expansions_per_anchor: self.aliases,
            },
        }
    }
}
