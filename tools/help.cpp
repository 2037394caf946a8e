#include "help.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "arguments.hpp"
#include "exit_codes.hpp"
#include "talk.hpp"

namespace peermq::tools {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kColumn = 28;

/// `text` broken at spaces; each line but the first begins with `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns,
                    std::size_t at) {
    std::string out;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        const std::size_t size = end - begin;
        if (!out.empty() && out.back() != '\n' && at + 1 + size > columns) {
            out += '\n' + std::string(indent, ' ');
            at = indent;
        } else if (!out.empty()) {
            out += ' ';
            ++at;
        }
        out.append(text, begin, size);
        at += size;
        begin = end + 1;
    }
    return out;
}

std::string entry(const std::string& head, const std::string& about, std::size_t columns) {
    std::string line(kIndent, ' ');
    line += head;
    if (line.size() + 2 > kColumn) {
        line += '\n' + std::string(kColumn, ' ');
    } else {
        line.resize(kColumn, ' ');
    }
    return line + wrapped(about, kColumn, columns, kColumn) + '\n';
}

std::string sections(const Guide& guide, std::size_t columns) {
    std::string out;
    if (!guide.more.empty()) out += '\n' + wrapped(guide.more, 0, columns, 0) + '\n';
    if (!guide.examples.empty()) {
        out += "\nExamples:\n";
        for (const std::string& example : guide.examples) out += "  " + example + '\n';
    }
    if (!guide.exit_codes.empty()) {
        out += "\nExit codes:\n";
        for (const int code : guide.exit_codes) {
            std::string number = std::to_string(code);
            number.resize(5, ' ');
            out += "  " + number + wrapped(std::string(exit_meaning(code)), 7, columns, 7) + '\n';
        }
    }
    return out;
}

class Formatter final : public CLI::FormatterBase {
public:
    std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
        return help_of(*app);
    }
};

/// How many letters must change to make `a` of `b`.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
        }
    }
    return row.back();
}

const CLI::App& deepest(const CLI::App& root) {
    const CLI::App* app = &root;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
    return *app;
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& each : known) {
        const std::size_t changes = each.starts_with(word) && word.size() > 2
                                        ? 1
                                        : distance(word, each);
        if (changes >= best_distance) continue;
        best = each;
        best_distance = changes;
    }
    return best;
}

std::string unexpected(const CLI::App& app, const std::string& word) {
    std::vector<std::string> known;
    const bool is_option = word.size() > 1 && word.front() == '-';
    const std::vector<const CLI::App*> commands = commands_of(app);
    if (is_option) {
        for (const CLI::Option* option : options_of(app)) {
            for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
        }
    } else {
        for (const CLI::App* command : commands) known.push_back(command->get_name());
    }
    const std::string name = word.substr(0, word.find('='));
    const std::string near = nearest(name, known);
    const std::string what = is_option           ? "no option " + name
                             : !commands.empty() ? "no command \"" + word + "\""
                                                 : "\"" + word + "\" is one argument too many";
    return what + (near.empty() ? "" : "; did you mean " + near + "?");
}

}  // namespace

std::string path_of(const CLI::App& app) {
    return app.get_parent() == nullptr ? app.get_name()
                                       : path_of(*app.get_parent()) + " " + app.get_name();
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    return app.get_options([](const CLI::Option* each) { return !each->get_group().empty(); });
}

OptionText text_of(const CLI::Option& option) {
    OptionText text{{}, option.get_description(), option.nonpositional() == false};
    if (text.positional) {
        text.names = option.get_name(true);
        return text;
    }
    for (const std::string& name : option.get_snames()) {
        text.names += (text.names.empty() ? "-" : ", -") + name;
    }
    for (const std::string& name : option.get_lnames()) {
        text.names += (text.names.empty() ? "    --" : ", --") + name;
    }
    if (option.get_type_size() != 0) text.names += " " + option.get_type_name();
    return text;
}

std::string usage_of(const CLI::App& app) {
    std::string usage;
    const auto options = options_of(app);
    if (std::any_of(options.begin(), options.end(),
                    [](const CLI::Option* each) { return each->nonpositional(); })) {
        usage += "[OPTIONS]";
    }
    for (const CLI::Option* option : options) {
        if (option->nonpositional()) continue;
        std::string name = option->get_name(true);
        if (option->get_items_expected_max() > 1) name += "...";
        usage += (usage.empty() ? "" : " ") + (option->get_required() ? name : "[" + name + "]");
    }
    if (!commands_of(app).empty()) usage += usage.empty() ? "COMMAND" : " COMMAND";
    return usage;
}

std::string help_of(const CLI::App& app) {
    const auto columns = static_cast<std::size_t>(
        std::clamp(terminal_columns(STDOUT_FILENO) - 1, 60, 100));
    std::string out = wrapped(app.get_description(), 0, columns, 0) + "\n\nUsage: " + path_of(app) +
                      " " + usage_of(app) + '\n';
    std::string positionals;
    std::string options;
    for (const CLI::Option* option : options_of(app)) {
        const OptionText text = text_of(*option);
        (text.positional ? positionals : options) += entry(text.names, text.about, columns);
    }
    std::vector<std::string> groups;
    for (const CLI::App* command : commands_of(app)) {
        if (std::find(groups.begin(), groups.end(), command->get_group()) == groups.end()) {
            groups.push_back(command->get_group());
        }
    }
    for (const std::string& group : groups) {
        out += '\n' + group + ":\n";
        for (const CLI::App* command : commands_of(app)) {
            if (command->get_group() != group) continue;
            out += entry(command->get_name(), command->get_description(), columns);
        }
    }
    if (!positionals.empty()) out += "\nArguments:\n" + positionals;
    if (!options.empty()) out += "\nOptions:\n" + options;
    if (const Guide* guide = guide_of(app)) out += sections(*guide, columns);
    return out;
}

void use_our_help(CLI::App& root) {
    const auto formatter = std::make_shared<Formatter>();
    root.formatter(formatter);
    for (CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
        use_our_help(*command);
    }
}

std::string usage_error_line(const CLI::App& root, const CLI::ParseError& error) {
    const CLI::App& app = deepest(root);
    std::string text = error.what();
    const bool extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    const bool missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                         text.find("subcommand") != std::string::npos;
    if ((extra || missing) && !app.remaining().empty()) {
        text = unexpected(app, app.remaining().front());
    } else if (missing) {
        text = "a command is missing";
    }
    const std::string path = path_of(app);
    const std::string command = app.get_parent() == nullptr
                                    ? ""
                                    : path.substr(path.find(' ') + 1) + ": ";
    return command + text + " (see " + path + " --help)";
}

}  // namespace peermq::tools
