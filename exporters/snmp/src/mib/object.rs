//! One object of a MIB, with what is needed to ask for it and to show it.

use mib_rs::BaseType;

use crate::oid::Oid;

/// The type that a value has on the wire (RFC 2578 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// INTEGER, Integer32, Unsigned32, Gauge32, TimeTicks.
    Number,
    /// Counter32, Counter64.
    Counter,
    /// OCTET STRING.
    Octets,
    /// OBJECT IDENTIFIER.
    Identifier,
    /// BITS.
    Bits,
    /// IpAddress.
    IpAddress,
    /// Opaque.
    Opaque,
    /// A table, a row, or a name without a value.
    None,
}

/// What may be done with an object (RFC 2578 §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It has values, or is an index that has none of its own.
    Usable,
    /// It only stands in notifications, can only be written, or has no access clause.
    Not,
}

/// One object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Name without the module.
    pub name: String,
    /// Module that defines it.
    pub module: String,
    /// Identifier.
    pub oid: Oid,
    /// Type.
    pub kind: Kind,
    /// Name of its textual convention, or nothing.
    pub convention: String,
    /// DISPLAY-HINT of its convention (RFC 2579 §3.1).
    pub hint: String,
    /// Access.
    pub access: Access,
    /// Description, its white space made single blanks.
    pub description: String,
    /// Names of the values of an enumeration, or of the bits of BITS.
    pub names: Vec<(i64, String)>,
    /// Length of a string that has only one; 0 otherwise.
    pub fixed_size: usize,
    /// The indexes of its row, by name; none for a scalar.
    pub indexes: Vec<String>,
    /// The last index is IMPLIED (RFC 2578 §7.7).
    pub implied: bool,
}

impl Object {
    /// A node of the tree, as this object of it.
    pub(super) fn of(node: &mib_rs::Node<'_>, object: Option<mib_rs::Object<'_>>) -> Option<Self> {
        let oid = Oid::new(node.oid().as_ref());
        if node.name().is_empty() || oid.ids().is_empty() {
            return None;
        }
        let mut made = Self {
            name: node.name().to_owned(),
            module: node
                .module()
                .map(|module| module.name().to_owned())
                .unwrap_or_default(),
            oid,
            kind: Kind::None,
            convention: String::new(),
            hint: String::new(),
            access: Access::Not,
            description: one_line(node.description()),
            names: Vec::new(),
            fixed_size: 0,
            indexes: Vec::new(),
            implied: false,
        };
        let Some(object) = object else {
            return Some(made);
        };
        object.name().clone_into(&mut made.name);
        made.description = one_line(object.description());
        if let Some(kind) = object.ty() {
            if let Some(convention) = kind.effective_tc() {
                convention.name().clone_into(&mut made.convention);
                // That of the convention that it is made from counts no more, as in net-snmp.
                convention.display_hint().clone_into(&mut made.hint);
            }
            made.kind = match kind.effective_base() {
                BaseType::Integer32
                | BaseType::Unsigned32
                | BaseType::Gauge32
                | BaseType::TimeTicks => Kind::Number,
                BaseType::Counter32 | BaseType::Counter64 => Kind::Counter,
                BaseType::OctetString => Kind::Octets,
                BaseType::ObjectIdentifier => Kind::Identifier,
                BaseType::Bits => Kind::Bits,
                BaseType::IpAddress => Kind::IpAddress,
                BaseType::Opaque => Kind::Opaque,
                _ => Kind::None,
            };
        }
        if object.is_table() || object.is_row() {
            made.kind = Kind::None;
        }
        made.access = match object.access() {
            mib_rs::Access::NotAccessible
            | mib_rs::Access::ReadOnly
            | mib_rs::Access::ReadWrite
            | mib_rs::Access::ReadCreate => Access::Usable,
            _ => Access::Not,
        };
        let named = if made.kind == Kind::Bits {
            object.effective_bits()
        } else {
            object.effective_enums()
        };
        made.names = named
            .iter()
            .map(|one| (one.value, one.label.clone()))
            .collect();
        if made.kind == Kind::Octets
            && let [only] = object.effective_sizes()
            && let (Some(min), Some(max)) = (only.min.as_i64(), only.max.as_i64())
            && min == max
        {
            made.fixed_size = usize::try_from(min).unwrap_or(0);
        }
        if let Some(row) = object.row().filter(|_| object.is_column()) {
            for index in row.effective_indexes() {
                // SMIv1 allows a type where the name of an object belongs; the row's name stands for it then.
                let name = index
                    .object()
                    .map_or_else(|| row.name().to_owned(), |one| one.name().to_owned());
                made.indexes.push(name);
                made.implied = index.implied();
            }
        }
        Some(made)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
