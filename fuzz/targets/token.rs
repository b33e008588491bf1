//! Any text as the identity token of a caller, and any bytes as its claims: nothing panics, and nothing that is not signed is believed.

crate::target!(|input: (&str, &[u8], u32)| {
    let (token, claims, seconds) = input;
    let [shape, _] = access::caller::judged(token, claims, seconds);
    assert!(shape.is_some(), "believed without a signature");
});
