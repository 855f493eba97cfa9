"""Domains, projects and their tags, limits: path, method, handler, rule."""

from maldon.identity.api import domain, limit, project, project_cascade, project_tag, registered_limit
from maldon.identity.route_shapes import Methods, kept

ROUTES: dict[str, Methods] = {
    "/v3/domains": {
        "GET": (domain.index, "identity:list_domains"),
        "POST": (domain.create, "identity:create_domain"),
    },
    "/v3/domains/{domain_id}": kept("domain", (domain.show, domain.update, domain.remove)),
    "/v3/projects": {
        "GET": (project.index, "identity:list_projects"),
        "POST": (project.create, "identity:create_project"),
    },
    "/v3/projects/{project_id}": kept("project", (project.show, project.update, project.remove)),
    "/v3/projects/{project_id}/cascade": {
        "PATCH": (project_cascade.update, "identity:update_project"),
        "DELETE": (project_cascade.remove, "identity:delete_project"),
    },
    "/v3/projects/{project_id}/tags": {
        "GET": (project_tag.index, "identity:list_project_tags"),
        "PUT": (project_tag.replace, "identity:update_project_tags"),
        "DELETE": (project_tag.clear, "identity:delete_project_tags"),
    },
    "/v3/projects/{project_id}/tags/{tag}": {
        "GET": (project_tag.check, "identity:get_project_tag"),
        "PUT": (project_tag.put, "identity:create_project_tag"),
        "DELETE": (project_tag.remove, "identity:delete_project_tag"),
    },
    "/v3/registered_limits": {
        "GET": (registered_limit.index, "identity:list_registered_limits"),
        "POST": (registered_limit.create, "identity:create_registered_limits"),
    },
    "/v3/registered_limits/{registered_limit_id}": kept(
        "registered_limit", (registered_limit.show, registered_limit.update, registered_limit.remove)
    ),
    "/v3/limits": {"GET": (limit.index, "identity:list_limits"), "POST": (limit.create, "identity:create_limits")},
    "/v3/limits/model": {"GET": (limit.model, "identity:get_limit_model")},
    "/v3/limits/{limit_id}": kept("limit", (limit.show, limit.update, limit.remove)),
}
