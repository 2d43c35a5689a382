"""Who may come in, as whom, and what is kept of them."""

from __future__ import annotations

from dependency_injector import containers

from core.usecases import (
    accounts,
    identity,
    linking,
    mail,
    members,
    passwords,
    privacy,
    second_factor,
    sessions,
    support,
)
from entrypoints.binding import bound
from entrypoints.parts import Parts


class People(containers.DeclarativeContainer):
    authenticate = bound(accounts.authenticate)
    touch_key = bound(accounts.touch_key)
    create_tenant = bound(accounts.create_tenant)
    get_tenant = bound(accounts.get_tenant)
    list_tenants = bound(accounts.list_tenants)
    list_members = bound(members.list_members)
    ways_in = bound(members.ways_in)
    change_member = bound(members.change_member)
    remove_member = bound(members.remove_member)
    end_member_sessions = bound(members.end_member_sessions)
    invite = bound(members.invite)
    list_invitations = bound(members.list_invitations)
    renew_invitation = bound(members.renew_invitation)
    revoke_invitation = bound(members.revoke_invitation)
    invitation_link = bound(members.invitation_link)
    read_invitation = bound(members.read_invitation)
    accept_invitation = bound(members.accept_invitation)
    sign_in = bound(sessions.sign_in, later=Parts.noted_later)
    prove_second_factor = bound(second_factor.prove_second_factor)
    begin_second_factor = bound(second_factor.begin_second_factor)
    add_second_factor = bound(second_factor.add_second_factor)
    remove_second_factor = bound(second_factor.remove_second_factor)
    drop_second_factor = bound(second_factor.drop_second_factor)
    open_session = bound(sessions.open_session)
    begin_identity_sign_in = bound(identity.begin_identity_sign_in)
    check_begun = bound(identity.check_begun)
    finish_identity_sign_in = bound(identity.finish_identity_sign_in)
    list_linked = bound(linking.list_linked)
    begin_linking = bound(linking.begin_linking)
    answer_linking = bound(linking.answer_linking)
    link_identity = bound(linking.link_identity)
    unlink_identity = bound(linking.unlink_identity)
    unlink_person = bound(linking.unlink_person)
    authenticate_token = bound(identity.authenticate_token)
    enter_tenant = bound(sessions.enter_tenant)
    leave_session = bound(sessions.leave_session)
    list_sessions = bound(sessions.list_sessions)
    end_session = bound(sessions.end_session)
    sign_out_person = bound(sessions.sign_out_person)
    ask_for_reset = bound(passwords.ask_for_reset, later=Parts.mailed_later)
    reset_link = bound(passwords.reset_link)
    whose_link = bound(passwords.whose_link)
    reset_password = bound(passwords.reset_password)
    change_password = bound(passwords.change_password)
    export_tenant = bound(privacy.export_tenant)
    export_person = bound(privacy.export_person)
    erase_tenant = bound(privacy.erase_tenant)
    erase_person = bound(privacy.erase_person)
    send_mail = bound(mail.send_mail)
    enter_as_operator = bound(support.enter_as_operator)
    change_tenant = bound(accounts.change_tenant)
    create_api_key = bound(accounts.create_api_key)
    rotate_api_key = bound(accounts.rotate_api_key)
    list_api_keys = bound(accounts.list_api_keys)
    revoke_api_key = bound(accounts.revoke_api_key)
