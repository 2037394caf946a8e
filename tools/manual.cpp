#include <filesystem>
#include <fstream>
#include <iostream>

#include "exit_codes.hpp"
#include "generated.hpp"
#include "help.hpp"
#include "peermq/version.hpp"

namespace peermq::tools {
namespace {

/// Text that troff takes as it is.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '\\': out += "\\e"; break;
            case '-': out += "\\-"; break;
            case '\'': out += "\\(aq"; break;
            case '`': out += "\\(ga"; break;
            case '^': out += "\\(ha"; break;
            case '~': out += "\\(ti"; break;
            default: out += c;
        }
    }
    return out.starts_with('.') ? "\\&" + out : out;
}

std::string page_name(const CLI::App& app) {
    std::string name = path_of(app);
    std::replace(name.begin(), name.end(), ' ', '-');
    return name;
}

std::string upper(std::string text) {
    for (char& c : text) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return text;
}

std::string options_section(const CLI::App& app) {
    std::string arguments;
    std::string options;
    for (const CLI::Option* option : options_of(app)) {
        const OptionText text = text_of(*option);
        const std::size_t begin = text.names.find_first_not_of(' ');
        (text.positional ? arguments : options) += ".TP\n\\fB" + escaped(text.names.substr(begin)) +
                                                   "\\fR\n" + escaped(text.about) + "\n";
    }
    return (arguments.empty() ? "" : ".SH ARGUMENTS\n" + arguments) +
           (options.empty() ? "" : ".SH OPTIONS\n" + options);
}

std::string commands_section(const CLI::App& app) {
    std::string out;
    for (const CLI::App* command : commands_of(app)) {
        out += ".TP\n\\fB" + escaped(page_name(*command)) + "\\fR(1)\n" +
               escaped(command->get_description()) + "\n";
    }
    return out.empty() ? out : ".SH COMMANDS\n" + out;
}

constexpr const char* kEnvironment =
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBNO_COLOR\\fR\nWhen set and not empty, no colours are used. Without a terminal they "
    "never "
    "are.\n"
    ".TP\n\\fBPEERMQ_ID\\fR, \\fBPEERMQ_QUEUE\\fR, \\fBPEERMQ_KEY\\fR, ...\n"
    "Set for commands that \\fB\\-\\-exec\\fR runs.\n"
    ".SH FILES\n"
    ".TP\n\\fIDIR\\fB/control\\fR\nThe socket at which a running peer answers \\fBpeermq "
    "stats\\fR, "
    "\\fBpeermq top\\fR and \\fBpeermq push \\-\\-via\\fR. Only its user may open it.\n";

void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path.string());
}

void write_pages(const CLI::App& app, const std::filesystem::path& directory) {
    write_file(directory / (page_name(app) + ".1"), manual_page(app));
    for (const CLI::App* command : commands_of(app)) write_pages(*command, directory);
}

}  // namespace

std::string manual_page(const CLI::App& app) {
    const std::string name = page_name(app);
    const Guide* guide = guide_of(app);
    std::string out = ".TH " + upper(name) + " 1 \"\" \"peermq " + std::string(kVersion) +
                      "\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n" + escaped(name) + " \\- " +
                      escaped(app.get_description()) + "\n.SH SYNOPSIS\n.B " +
                      escaped(path_of(app)) + "\n" + escaped(usage_of(app)) +
                      "\n.SH DESCRIPTION\n" + escaped(app.get_description()) + ".\n";
    if (guide != nullptr && !guide->more.empty()) out += ".PP\n" + escaped(guide->more) + "\n";
    out += commands_section(app) + options_section(app);
    if (guide != nullptr && !guide->examples.empty()) {
        out += ".SH EXAMPLES\n.nf\n";
        for (const std::string& example : guide->examples) out += escaped(example) + "\n";
        out += ".fi\n";
    }
    if (guide != nullptr && !guide->exit_codes.empty()) {
        out += ".SH EXIT STATUS\n";
        for (const int code : guide->exit_codes) {
            out += ".TP\n\\fB" + std::to_string(code) + "\\fR\n" +
                   escaped(std::string(exit_meaning(code))) + "\n";
        }
    }
    if (app.get_parent() == nullptr) return out + kEnvironment;
    return out + ".SH SEE ALSO\n\\fB" + escaped(page_name(*app.get_parent())) + "\\fR(1)\n";
}

void add_generating_commands(CLI::App& app, Command& chosen) {
    const auto shell = std::make_shared<std::string>();
    CLI::App* completion = app.add_subcommand("completion",
                                              "Print the completion script of a shell");
    completion->group("Other");
    add_choice(*completion, "SHELL", *shell, "bash, zsh or fish", {"bash", "zsh", "fish"})
        ->required();
    set_guide(*completion,
              {.examples = {"source <(peermq completion bash)",
                            "peermq completion zsh > ~/.zfunc/_peermq",
                            "peermq completion fish > ~/.config/fish/completions/peermq.fish"},
               .exit_codes = {kExitOk, kExitUsage, kExitOutput}});
    completion->callback([&app, &chosen, shell] {
        chosen = [&app, shell] {
            std::cout << (*shell == "bash"  ? bash_completion(app)
                          : *shell == "zsh" ? zsh_completion(app)
                                            : fish_completion(app));
            return kExitOk;
        };
    });

    const auto directory = std::make_shared<std::string>();
    CLI::App* generate = app.add_subcommand("generate", "Write completions and manual pages");
    generate->group("");
    generate->add_option("DIR", *directory, "Where to")->required();
    generate->callback([&app, &chosen, directory] {
        chosen = [&app, directory] {
            const std::filesystem::path to(*directory);
            std::filesystem::create_directories(to / "man");
            write_file(to / "peermq.bash", bash_completion(app));
            write_file(to / "_peermq", zsh_completion(app));
            write_file(to / "peermq.fish", fish_completion(app));
            write_pages(app, to / "man");
            return kExitOk;
        };
    });
}

}  // namespace peermq::tools
