"""The walk of an operator through people and places with openstacksdk; run by the clients' own Python.

python identity_walk.py CLOUD
"""

import sys

import openstack


def walk(cloud):
    """A domain with a tree of projects, its people, their roles and limits, and all of it gone again."""
    identity = cloud.identity
    domain = identity.create_domain(name="acme", description="of the walk")
    top = identity.create_project(name="top", domain_id=domain.id, tags=["gold"])
    low = identity.create_project(name="low", domain_id=domain.id, parent_id=top.id)
    assert [p.name for p in identity.projects(domain_id=domain.id, parent_id=top.id)] == ["low"]
    assert [p.name for p in identity.projects(tags="gold")] == ["top"]
    user = identity.create_user(name="ann", domain_id=domain.id, password="first", email="ann@acme.test")
    assert identity.find_user("ann", domain_id=domain.id).email == "ann@acme.test"
    group = identity.create_group(name="builders", domain_id=domain.id)
    identity.add_user_to_group(user, group)
    assert identity.check_user_in_group(user, group)
    assert [u.name for u in identity.group_users(group)] == ["ann"]
    roles(identity, domain, top, low, user, group)
    limits(identity, low)
    password(cloud, domain, low, user)
    identity.remove_user_from_group(user, group)
    identity.update_domain(domain, is_enabled=False)
    identity.delete_domain(domain)
    assert identity.find_user(user.id) is None
    assert identity.find_project(low.id) is None


def roles(identity, domain, top, low, user, group):
    """Roles that imply one another, given to a group on a project and below another."""
    builder, digger = (identity.create_role(name=name) for name in ("builder", "digger"))
    answer = identity.put(f"/roles/{builder.id}/implies/{digger.id}")
    assert answer.status_code == 201, answer.text
    identity.assign_project_role_to_group(low, group, builder)
    below = f"/OS-INHERIT/projects/{top.id}/users/{user.id}/roles/{digger.id}/inherited_to_projects"
    assert identity.put(below).status_code == 204
    assert identity.validate_group_has_project_role(low, group, builder)
    effective = identity.get(f"/role_assignments?effective&include_names&user.id={user.id}").json()["role_assignments"]
    held = sorted((one["scope"]["project"]["name"], one["role"]["name"]) for one in effective)
    assert held == [("low", "builder"), ("low", "digger")], held
    identity.assign_domain_role_to_user(domain, user, builder)
    assert [a.role["id"] for a in identity.role_assignments(scope_domain_id=domain.id)] == [builder.id]
    identity.unassign_domain_role_from_user(domain, user, builder)


def limits(identity, project):
    """A resource is registered and limited for one project."""
    service = identity.find_service("nova")
    registered = identity.create_registered_limit(service_id=service.id, resource_name="shovels", default_limit=3)
    limit = identity.create_limit(
        service_id=service.id, project_id=project.id, resource_name="shovels", resource_limit=5
    )
    assert [one.resource_limit for one in identity.limits(project_id=project.id)] == [5]
    assert identity.update_limit(limit, resource_limit=6).resource_limit == 6
    identity.delete_limit(limit)
    identity.delete_registered_limit(registered)


def password(cloud, domain, project, user):
    """The user changes the own password and has a token with the new one."""
    body = {"user": {"password": "second", "original_password": "first"}}
    assert cloud.identity.post(f"/users/{user.id}/password", json=body).status_code == 204
    own = openstack.connect(
        auth_url=cloud.auth["auth_url"],
        username=user.name,
        user_domain_id=domain.id,
        password="second",
        project_id=project.id,
        region_name="RegionOne",
    )
    assert sorted(own.session.auth.get_access(own.session).role_names) == ["builder", "digger"]


if __name__ == "__main__":
    walk(openstack.connect(cloud=sys.argv[1]))
    sys.stdout.write("walked\n")
