//! Series about the log.

use toolkit::{Collect, Encoder, Kind, Labels};

use super::Audit;

impl Collect for Audit {
    fn collect(&self, out: &mut Encoder) {
        let told = self.inner.state.told();
        let head = told.head();
        let none = Labels::none();
        out.family(
            "sotp_audit_head_sequence",
            Kind::Gauge,
            "Number of the newest audit record.",
        );
        out.sample(none, head.sequence);
        out.family(
            "sotp_audit_head_hash",
            Kind::Gauge,
            "SHA-256 of the newest audit record as numbers: parts 0 to 4 are 48 bits each, part 5 the last 16.",
        );
        for (at, part) in head.parts().into_iter().enumerate() {
            out.sample(&Labels::new([("part", at.to_string())]), part);
        }
        out.family(
            "sotp_audit_pending",
            Kind::Gauge,
            "Changes that were recorded as begun and have no outcome on disk yet.",
        );
        let pending = self.inner.most_pending - self.inner.places.available_permits();
        out.sample(none, pending as u64);
        out.family(
            "sotp_audit_write_failures_total",
            Kind::Counter,
            "Times that records could not be written; what was to be begun was refused.",
        );
        out.sample(none, told.failures);
        out.family(
            "sotp_audit_refusing",
            Kind::Gauge,
            "Whether nothing can be recorded, and so nothing changed, because the log vanished, was replaced, cut or damaged.",
        );
        out.sample(none, u64::from(self.inner.state.refusing().is_some()));
        out.family(
            "sotp_audit_refusals_unrecorded_total",
            Kind::Counter,
            "Refusals without a record: more than are recorded in that time, or the log could not be written.",
        );
        for (caller, known) in [("known", true), ("unknown", false)] {
            let labels = Labels::new([("caller", caller)]);
            out.sample(&labels, self.inner.refusals.unrecorded(known));
        }
        out.family(
            "sotp_audit_readings_unrecorded_total",
            Kind::Counter,
            "Readings without a record: more than are recorded in that time, or the log could not be written.",
        );
        out.sample(none, self.inner.readings.unrecorded());
        out.family(
            "sotp_audit_recovered_total",
            Kind::Counter,
            "Records written at the start about what a crash left behind.",
        );
        out.sample(none, told.recovered);
    }
}
