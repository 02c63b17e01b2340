vcl 4.1;

# A shared cache in front of an Ogrom service, by RFC 9111 and RFC 5861 where Varnish by itself is not:
#   no-cache                 is kept, and used only when the origin has said 304
#   stale-while-revalidate   as long as the answer says, and not ten seconds wherever it says nothing
#   stale-if-error           as long as the answer says: when the origin is away, and when it says 5xx
#   PUT, POST, PATCH, DELETE remove what was kept of the same path, whatever its query
# All the rest is Varnish's own VCL, which runs after this one: requests with Authorization or Cookie
# pass by, and so do answers with private, no-store, Set-Cookie or Vary: *.
# Run it with -p http_gzip_support=off: the origin compresses by itself, in more codings.

import std;

backend origin {
    .host = "127.0.0.1";
    .port = "8080";
}

sub vcl_recv {
    if (req.url ~ "^/-/") {  # health and metrics are not the public's
        return (synth(404));
    }
    if (req.restarts == 0) {
        unset req.http.Ogrom-Try;
    }
    if (req.http.Ogrom-Try == "origin") {  # too stale to be given unasked
        set req.grace = 0s;
    } else {
        set req.grace = 365d;
    }
}

sub vcl_hit {
    if (obj.ttl + std.duration(obj.http.Ogrom-Revalidate, 0s) < 0s && !req.http.Ogrom-Try) {
        set req.http.Ogrom-Try = "origin";
        return (restart);
    }
}

sub vcl_backend_response {
    if (beresp.status >= 500 && (bereq.is_bgfetch || bereq.http.Ogrom-Try == "origin")) {
        return (abandon);  # what is stale is better
    }
    if (bereq.method !~ "^(GET|HEAD|OPTIONS)$" && beresp.status < 400) {
        std.ban("obj.http.Ogrom-Path == " + regsub(bereq.url, "\?.*$", ""));
    }
    set beresp.http.Ogrom-Path = regsub(bereq.url, "\?.*$", "");
    set beresp.http.Ogrom-Revalidate =
        regsub(beresp.http.Cache-Control, "^.*\bstale-while-revalidate=(\d+).*$", "\1s");
    set beresp.grace = std.duration(
        regsub(beresp.http.Cache-Control, "^.*\bstale-if-error=(\d+).*$", "\1s"), 0s);
    if (beresp.grace < std.duration(beresp.http.Ogrom-Revalidate, 0s)) {
        set beresp.grace = std.duration(beresp.http.Ogrom-Revalidate, 0s);
    }
    set beresp.keep = 1d;  # for a 304
    if (beresp.http.Cache-Control ~ "(?i)no-cache" && !bereq.uncacheable && beresp.status < 400
        && beresp.http.Cache-Control !~ "(?i)(no-store|private)"
        && !beresp.http.Set-Cookie && beresp.http.Vary != "*") {
        set beresp.ttl = 0.001ms;  # with 0s, Varnish would not ask with its tag
        set beresp.grace = 0s;
        return (deliver);
    }
}

sub vcl_backend_error {
    if (bereq.http.Ogrom-Try == "origin") {
        return (abandon);
    }
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "2";
    set beresp.body = {"{"title":"Service Unavailable","status":503}"};
    return (deliver);
}

sub vcl_synth {
    if (resp.status == 503 && req.http.Ogrom-Try == "origin") {  # abandoned
        set req.http.Ogrom-Try = "stale";
        return (restart);
    }
}

sub vcl_deliver {
    unset resp.http.Ogrom-Path;
    unset resp.http.Ogrom-Revalidate;
}
