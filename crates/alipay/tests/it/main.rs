//! The protocol, held against itself, against mutated input, and against foreign verifiers.
#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bills;
mod certificates;
mod foreign;
mod forms;
mod keys;
mod mutations;
mod notifications;
mod requests;
mod world;

/// One trial for each named function.
macro_rules! trials {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!(stringify!($module), "::", stringify!($name)), || {
            $module::$name();
            Ok(())
        })),+]
    };
}

fn main() {
    let mut trials = trials![
        keys::every_format_of_a_key_is_read,
        keys::a_wrong_text_is_refused_with_a_hint,
        keys::a_key_is_never_printed,
        forms::a_form_comes_back_as_it_was,
        forms::what_is_ambiguous_is_refused,
        forms::limits_are_named,
        requests::a_page_payment_is_one_signed_url,
        requests::a_call_is_split_as_official_clients_split_it,
        requests::values_beyond_the_limits_are_refused,
        requests::the_gateway_refuses_what_was_tampered_with,
        answers::a_signed_answer_is_read,
        answers::spaces_and_escaped_slashes_are_part_of_what_is_signed,
        answers::codes_lead_to_their_conclusions,
        answers::what_cannot_be_trusted_is_unknown,
        answers::an_answer_about_another_order_is_unknown,
        answers::a_refund_is_proved_by_its_fields_only,
        notifications::a_signed_notification_is_read,
        notifications::each_field_that_differs_is_named,
        notifications::what_it_is_about,
        notifications::a_signed_one_with_a_broken_field_is_refused,
        notifications::a_subject_cannot_pose_as_fields,
        certificates::serial_numbers_are_those_python_makes,
        certificates::what_is_no_certificate_is_refused,
        certificates::a_request_names_its_certificates_and_the_gateway_checks_them,
        certificates::an_answer_counts_under_the_certificate_we_know_only,
        certificates::contents_are_encrypted_as_python_does_it,
        certificates::an_encrypted_call_is_read_and_answered_encrypted,
        certificates::phones_and_apps_are_sent_what_is_theirs,
        certificates::a_bill_is_of_one_day_of_beijing,
        bills::a_bill_of_anothers_making_is_read,
        bills::a_bill_without_lines_is_a_bill,
        bills::what_is_not_whole_is_refused_with_its_line,
        bills::a_file_that_is_no_bill_is_refused,
        mutations::no_mutation_of_a_signed_notification_is_accepted,
    ];
    trials.extend(foreign::trials());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit();
}
